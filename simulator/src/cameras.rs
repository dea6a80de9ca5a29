//! All cameras of a simulator: their streams, their loops, the schedule that sends them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, Semaphore, mpsc};
use vitrail_engine::base::{Moment, Shutdown};
use vitrail_engine::{Error, ErrorKind, Result};

use crate::city::City;
use crate::clip::{Cache, Clip};
use crate::config::Scenery;
use crate::encode::{Recipe, encode_all};
use crate::faults::{Fault, Faults};
use crate::footage::{Footage, clips_in};
use crate::scene::{KINDS, Scene};
use crate::sent::SendLog;
use crate::stream::{Stream, Totals};
use crate::{Config, Profile};

/// Loops that go through one encoder at most: makes its start-up small, and a preparation that is
/// broken off has kept most of what it made.
const BATCH: usize = 32;
/// Between two lines that say how far a preparation is.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// A stream of a camera.
type Key = (u16, Profile);

/// What connections, control port and schedule share.
pub(crate) struct Cameras {
    pub config: Config,
    pub totals: Totals,
    pub log: Arc<SendLog>,
    pub shutdown: Shutdown,
    streams: HashMap<Key, Arc<Stream>>,
    /// Held while a stream's loop is encoded, so that it is encoded once.
    making: HashMap<Key, Mutex<()>>,
    encoders: Semaphore,
    clips: Vec<PathBuf>,
    cache: Option<Cache>,
    start: mpsc::UnboundedSender<Arc<Stream>>,
}

impl Cameras {
    pub fn new(config: Config) -> Result<(Arc<Cameras>, mpsc::UnboundedReceiver<Arc<Stream>>)> {
        config.check()?;
        let clips = config.clips.as_deref().map(clips_in).transpose()?.unwrap_or_default();
        let cache = config.cache.as_deref().map(Cache::open).transpose()?;
        let (mut streams, mut making) = (HashMap::new(), HashMap::new());
        for camera in 1..=config.cameras {
            let faults = Arc::new(Faults::default());
            for profile in [Profile::Main, Profile::Sub] {
                let spec = config.spec(profile);
                let stream =
                    Stream::new(camera, profile, faults.clone(), spec.rate, config.gop_frames(profile));
                streams.insert((camera, profile), Arc::new(stream));
                making.insert((camera, profile), Mutex::new(()));
            }
        }
        let (start, started) = mpsc::unbounded_channel();
        let cameras = Cameras {
            totals: Totals::default(),
            log: Arc::default(),
            shutdown: Shutdown::new(),
            streams,
            making,
            encoders: Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)),
            clips,
            cache,
            start,
            config,
        };
        Ok((Arc::new(cameras), started))
    }

    pub fn stream(&self, camera: u16, profile: Profile) -> Option<&Arc<Stream>> {
        self.streams.get(&(camera, profile))
    }

    pub fn faults(&self, camera: u16) -> Option<&Arc<Faults>> {
        self.stream(camera, Profile::Sub).map(|stream| &stream.faults)
    }

    /// Tells the schedule of a stream that has got its first client.
    pub fn schedule(&self, stream: &Arc<Stream>) {
        let _ = self.start.send(stream.clone());
    }

    /// Which built-in scene a camera shows; `None` where it shows a clip.
    pub fn scene_kind(&self, camera: u16) -> Option<usize> {
        let n = usize::from(camera) - 1;
        self.clips.is_empty().then(|| n / self.config.codecs.len() % KINDS)
    }

    fn recipe(&self, camera: u16, profile: Profile) -> Recipe {
        let (config, spec) = (&self.config, self.config.spec(profile));
        let n = usize::from(camera) - 1;
        let codecs = config.codecs.len();
        let footage = match self.scene_kind(camera) {
            Some(kind) if config.scenery == Scenery::City => {
                Footage::City(City { kind, seed: u64::from(camera) })
            }
            Some(kind) => Footage::Scene(Scene { kind, seed: u64::from(camera) }),
            None => Footage::File(self.clips[n / codecs % self.clips.len()].clone()),
        };
        Recipe {
            codec: self.codec(camera),
            size: (spec.width, spec.height),
            rate: spec.rate,
            kbps: spec.kbps,
            gop: config.gop_frames(profile),
            frames: config.loop_frames(profile),
            footage,
            code: config.code,
            camera,
            profile,
            frozen: false,
        }
    }

    /// The loop of a stream, encoded now where nobody has asked for it before.
    pub async fn clip(self: &Arc<Self>, camera: u16, profile: Profile) -> Result<Arc<Clip>> {
        let unknown = || Error::new(ErrorKind::Config, format!("camera {camera}"), "does not exist");
        let stream = self.stream(camera, profile).ok_or_else(unknown)?;
        let _one = self.making.get(&(camera, profile)).ok_or_else(unknown)?.lock().await;
        if let Some(clip) = stream.clip() {
            return Ok(clip);
        }
        let clip = self.encoded(self.recipe(camera, profile)).await?;
        stream.set_clip(clip.clone());
        Ok(clip)
    }

    async fn encoded(self: &Arc<Self>, recipe: Recipe) -> Result<Arc<Clip>> {
        let clips = self.encoded_all(vec![recipe]).await?;
        clips.into_iter().next().ok_or_else(|| Error::new(ErrorKind::Internal, "loop", "was not encoded"))
    }

    /// The clips of recipes of one shape, from the cache or encoded now.
    async fn encoded_all(self: &Arc<Self>, recipes: Vec<Recipe>) -> Result<Vec<Arc<Clip>>> {
        let gone = || Error::new(ErrorKind::Internal, "simulator", "is ending");
        let _turn = self.encoders.acquire().await.map_err(|_| gone())?;
        if self.shutdown.is_cancelled() {
            return Err(gone());
        }
        let cameras = self.clone();
        let work = move || -> Result<Vec<Arc<Clip>>> {
            let keys: Vec<String> = recipes.iter().map(Recipe::key).collect();
            let kept = |key: &String| cameras.cache.as_ref()?.get(key);
            let mut clips: Vec<Option<Clip>> = keys.iter().map(kept).collect();
            let missing: Vec<usize> = (0..clips.len()).filter(|&i| clips[i].is_none()).collect();
            let wanted: Vec<Recipe> = missing.iter().map(|&i| recipes[i].clone()).collect();
            for (i, clip) in missing.into_iter().zip(encode_all(&wanted)?) {
                if let Some(cache) = &cameras.cache {
                    cache.keep(&keys[i], &clip);
                }
                clips[i] = Some(clip);
            }
            Ok(clips.into_iter().flatten().map(Arc::new).collect())
        };
        tokio::task::spawn_blocking(work).await.map_err(|e| gone().caused_by(e))?
    }

    /// Encodes, or finds in the cache, one profile of all cameras.
    pub async fn prepare(self: &Arc<Self>, profile: Profile) -> Result<()> {
        let mut tasks = tokio::task::JoinSet::new();
        for batch in self.batches() {
            let cameras = self.clone();
            tasks.spawn(async move { cameras.prepare_batch(profile, batch).await });
        }
        let (mut done, mut told) = (0, Instant::now());
        while let Some(result) = tasks.join_next().await {
            done += result
                .map_err(|e| Error::new(ErrorKind::Internal, "simulator", "is ending").caused_by(e))??;
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                tracing::info!(done, of = self.config.cameras, %profile, "loops ready");
            }
        }
        Ok(())
    }

    /// All cameras, in lists of one codec that give every processor its share.
    fn batches(&self) -> Vec<Vec<u16>> {
        let codecs = self.config.codecs.len();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let count = usize::from(self.config.cameras).div_ceil(codecs).div_ceil(cores).clamp(1, BATCH);
        let numbers: Vec<u16> = (1..=self.config.cameras).collect();
        let of_codec = |codec| numbers.iter().copied().skip(codec).step_by(codecs).collect::<Vec<u16>>();
        (0..codecs)
            .flat_map(|codec| of_codec(codec).chunks(count).map(<[u16]>::to_vec).collect::<Vec<_>>())
            .collect()
    }

    /// How many cameras it was.
    async fn prepare_batch(self: Arc<Self>, profile: Profile, numbers: Vec<u16>) -> Result<usize> {
        // In ascending order, as everybody takes them, so that two preparations cannot lock each other out.
        let mut held = Vec::new();
        for &camera in &numbers {
            if let Some(making) = self.making.get(&(camera, profile)) {
                held.push(making.lock().await);
            }
        }
        let streams: Vec<&Arc<Stream>> = numbers
            .iter()
            .filter_map(|&camera| self.stream(camera, profile))
            .filter(|stream| stream.clip().is_none())
            .collect();
        let recipes = streams.iter().map(|stream| self.recipe(stream.camera, profile)).collect();
        for (stream, clip) in streams.iter().zip(self.encoded_all(recipes).await?) {
            stream.set_clip(clip);
        }
        Ok(numbers.len())
    }

    /// Switches a fault on; those that need another loop take hold once it is encoded.
    pub async fn fault(self: &Arc<Self>, camera: u16, fault: Fault) -> Result<()> {
        let unknown = || Error::new(ErrorKind::Config, format!("camera {camera}"), "does not exist");
        let faults = self.faults(camera).ok_or_else(unknown)?.clone();
        if matches!(fault, Fault::Freeze | Fault::Resize) {
            for profile in [Profile::Main, Profile::Sub] {
                let stream = self.stream(camera, profile).ok_or_else(unknown)?;
                if stream.clip().is_none() {
                    continue;
                }
                let mut recipe = self.recipe(camera, profile);
                match fault {
                    Fault::Freeze => {
                        recipe.frozen = true;
                        recipe.frames = recipe.gop;
                    }
                    _ => {
                        let half = |size: u32, step: u32| (size / 2 / step * step).max(step);
                        recipe.size = (half(recipe.size.0, 8), half(recipe.size.1, 2));
                        recipe.kbps = (recipe.kbps / 2).max(1);
                    }
                }
                stream.set_stand_in(fault, self.encoded(recipe).await?);
            }
            faults.off(Fault::Freeze);
            faults.off(Fault::Resize);
        }
        faults.on(fault);
        Ok(())
    }

    /// Sends every frame when it is due, until the shutdown.
    pub async fn run_schedule(self: Arc<Self>, mut started: mpsc::UnboundedReceiver<Arc<Stream>>) {
        let clock = self.config.clock.clone();
        let mut running: HashMap<Key, Arc<Stream>> = HashMap::new();
        let mut due: BinaryHeap<Reverse<(Moment, Key, u64)>> = BinaryHeap::new();
        loop {
            let now = clock.now();
            let wait = due.peek().map(|Reverse((moment, _, _))| moment.since(now));
            let sleep = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                stream = started.recv() => {
                    let Some(stream) = stream else { return };
                    let count = stream.next_after(clock.now());
                    let key = (stream.camera, stream.profile);
                    due.push(Reverse((stream.due(count), key, count)));
                    running.insert(key, stream);
                }
                () = sleep => {}
            }
            let (now, wall) = (clock.now(), clock.wall());
            while let Some(&Reverse((moment, key, count))) = due.peek() {
                if moment > now {
                    break;
                }
                due.pop();
                let Some(stream) = running.get(&key) else { continue };
                let late = now.since(moment);
                if stream.emit(count, wall.saturating_sub(late), &self.totals) {
                    // After a stop of the machine, frames of the past are left out.
                    let next = if late.as_secs() >= 1 { stream.next_after(now) } else { count + 1 };
                    due.push(Reverse((stream.due(next), key, next)));
                }
            }
        }
    }
}
