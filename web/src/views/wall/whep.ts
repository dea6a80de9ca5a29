// The live picture of one screen: WebRTC by WHEP, and where that fails pictures one by one, said aloud.
import { signal, type Signal } from '@preact/signals';
import { address, changeHeaders, exchange, Problem } from '../../api/client';
import { explain } from '../../state/notices';

export type Feed =
  | { mode: 'connecting' }
  | { mode: 'live' }
  /** Pictures one by one, and why. */
  | { mode: 'pictures'; why: string }
  /** Nothing new came for a while: what is seen is not the wall of now. */
  | { mode: 'stopped'; why: string };

const GATHER_MS = 1000;
const FIRST_FRAME_MS = 6000;
const NO_FRAME_MS = 2500;
const RETRY_MS = 15_000;

/** Shows a screen in a video element until `stop`; `feed` tells how. */
export class LiveScreen {
  readonly feed: Signal<Feed> = signal({ mode: 'connecting' });
  private peer: RTCPeerConnection | null = null;
  private resource: string | null = null;
  private stopped = false;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private watch: ReturnType<typeof setInterval> | undefined;
  private lastFrame = 0;
  private started = 0;

  constructor(private readonly video: HTMLVideoElement, private readonly screen: string) {
    void this.connect();
  }

  private async connect() {
    if (this.stopped) return;
    if (this.feed.value.mode !== 'pictures') this.feed.value = { mode: 'connecting' };
    try {
      if (typeof RTCPeerConnection === 'undefined') throw new Error('this browser has no WebRTC');
      // Loopback or the room's own network: no server outside helps to find a way.
      const peer = new RTCPeerConnection({ iceServers: [], bundlePolicy: 'max-bundle' });
      this.peer = peer;
      peer.addTransceiver('video', { direction: 'recvonly' });
      peer.ontrack = (event) => {
        this.video.srcObject = event.streams[0] ?? new MediaStream([event.track]);
        // What is old is of no use: no more buffer than needed.
        if ('jitterBufferTarget' in event.receiver) (event.receiver as { jitterBufferTarget: number | null }).jitterBufferTarget = 0;
        void this.video.play().catch(() => {});
      };
      peer.onconnectionstatechange = () => {
        if (peer === this.peer && ['failed', 'closed'].includes(peer.connectionState)) this.fall('the connection was lost');
      };
      await peer.setLocalDescription(await peer.createOffer());
      await gathered(peer);
      const response = await exchange('POST', `/whep/${encodeURIComponent(this.screen)}`, {
        body: peer.localDescription?.sdp ?? '',
        headers: { 'Content-Type': 'application/sdp' },
      });
      this.resource = response.headers.get('Location');
      const sdp = await response.text();
      if (this.stopped || peer !== this.peer) return this.hangUp();
      await peer.setRemoteDescription({ type: 'answer', sdp });
      this.started = performance.now();
      this.lastFrame = 0;
      this.frames();
      this.watch = setInterval(() => this.look(), 500);
    } catch (error) {
      this.fall(error instanceof Problem ? explain(error) : error instanceof Error ? error.message : String(error));
    }
  }

  private frames() {
    const next = () => {
      this.lastFrame = performance.now();
      if (!this.stopped && this.feed.value.mode !== 'live') this.feed.value = { mode: 'live' };
      if (!this.stopped && this.peer) this.video.requestVideoFrameCallback(next);
    };
    this.video.requestVideoFrameCallback(next);
  }

  private look() {
    const now = performance.now();
    // A hidden page gets no frame callbacks: nothing can be said then.
    if (document.visibilityState === 'hidden') {
      this.started = now;
      if (this.lastFrame) this.lastFrame = now;
      return;
    }
    if (!this.lastFrame && now - this.started > FIRST_FRAME_MS) this.fall('no picture came');
    else if (this.lastFrame && now - this.lastFrame > NO_FRAME_MS) {
      if (this.feed.value.mode === 'live') this.feed.value = { mode: 'stopped', why: 'no picture came' };
      if (now - this.lastFrame > 2 * NO_FRAME_MS) this.fall('no picture came');
    }
  }

  private fall(why: string) {
    if (this.stopped) return;
    this.hangUp();
    this.feed.value = { mode: 'pictures', why };
    clearTimeout(this.retry);
    this.retry = setTimeout(() => void this.connect(), RETRY_MS);
  }

  private hangUp() {
    clearInterval(this.watch);
    this.peer?.close();
    this.peer = null;
    this.video.srcObject = null;
    if (this.resource) {
      const url = new URL(this.resource, new URL(address('/whep/'), location.href));
      if (url.origin === location.origin) void fetch(url, { method: 'DELETE', headers: changeHeaders(), keepalive: true }).catch(() => {});
      this.resource = null;
    }
  }

  /** Tries the live picture again now. */
  again() {
    clearTimeout(this.retry);
    void this.connect();
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.retry);
    this.hangUp();
  }
}

function gathered(peer: RTCPeerConnection): Promise<void> {
  if (peer.iceGatheringState === 'complete') return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      peer.removeEventListener('icegatheringstatechange', look);
      resolve();
    };
    const look = () => peer.iceGatheringState === 'complete' && done();
    const timer = setTimeout(done, GATHER_MS);
    peer.addEventListener('icegatheringstatechange', look);
  });
}
