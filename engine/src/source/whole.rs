//! What comes from a source, with whole pictures only: cameras and parsers hand on the two fields of a picture
//! as two units, each with a time of its own.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use parking_lot::{Mutex, MutexGuard};

use super::classify::from_each_start;
use super::fields::{Fields, Half};
use super::{StreamDescription, UnitSink};
use crate::media::{AccessUnit, Codec, SoundPacket, SoundParameters, VideoParameters};

/// Puts fields together on their way to another sink. A field waits for its other one, at most until the unit
/// after it: what decodes pictures alone, leaves some out or counts them must have them whole.
pub(super) struct WholePictures {
    sink: Arc<dyn UnitSink>,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    /// Only H.264 codes fields that a decoder puts together.
    fields: Option<Fields>,
    first: Option<AccessUnit>,
}

impl WholePictures {
    pub fn new(sink: Arc<dyn UnitSink>) -> WholePictures {
        WholePictures { sink, inside: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock()
    }

    /// A field whose other one never came.
    fn flush(&self) {
        let alone = self.lock().first.take();
        if let Some(unit) = alone {
            self.sink.unit(unit);
        }
    }
}

impl UnitSink for WholePictures {
    fn parameters(&self, parameters: &VideoParameters) {
        self.flush();
        let known = (parameters.codec == Codec::H264).then(|| {
            let mut fields = Fields::default();
            fields.note(from_each_start(&parameters.extradata));
            fields
        });
        self.lock().fields = known;
        self.sink.parameters(parameters);
    }

    fn unit(&self, unit: AccessUnit) {
        let (alone, whole) = {
            let mut inside = self.lock();
            let half = match &mut inside.fields {
                Some(fields) => fields.note(from_each_start(&unit.data)),
                None => Half::Whole,
            };
            match (half, inside.first.take()) {
                (Half::First, before) => {
                    inside.first = Some(unit);
                    (before, None)
                }
                (Half::Second, Some(first)) => (None, Some(joined(first, unit))),
                (_, before) => (before, Some(unit)),
            }
        };
        for unit in alone.into_iter().chain(whole) {
            self.sink.unit(unit);
        }
    }

    fn discontinuity(&self) {
        self.flush();
        if let Some(fields) = &mut self.lock().fields {
            fields.begin_anew();
        }
        self.sink.discontinuity();
    }

    fn described(&self, description: &StreamDescription) {
        self.sink.described(description);
    }

    fn sound_parameters(&self, parameters: &SoundParameters) {
        self.sink.sound_parameters(parameters);
    }

    fn sound(&self, packet: SoundPacket) {
        self.sink.sound(packet);
    }
}

/// Both fields of a picture, at the time of the first.
fn joined(first: AccessUnit, second: AccessUnit) -> AccessUnit {
    let mut data = BytesMut::with_capacity(first.data.len() + second.data.len());
    data.extend_from_slice(&first.data);
    data.extend_from_slice(&second.data);
    AccessUnit {
        disposable: first.disposable && second.disposable,
        loss: first.loss || second.loss,
        data: Bytes::from(data),
        ..first
    }
}
