//! Cameras for tests.
