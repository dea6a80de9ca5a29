//! The walls' pictures for browsers: WHEP (WebRTC), and JPEG where that does not get through.
