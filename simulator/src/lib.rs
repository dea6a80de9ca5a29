//! Simulated cameras: looped clips and scenes over RTSP, each picture readable by machine, with faults on command.
