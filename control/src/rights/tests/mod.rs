//! Tests of the room against real databases, and of the policy against an oracle.
