//! The newest fitted frame per camera and size, with its age; latest wins.
