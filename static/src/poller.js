// Runs a reading again and again, never two at once: quickly while something happens, slowly when nothing does or the page is hidden.

const RETRY = [1000, 2000, 4000, 5000];

export class Poller {
  /**
   * read: async function; its failure is reported to `onFailure(error)` and tried again, its success to `onSuccess()`.
   * interval: function that gives the pause in milliseconds after a success.
   */
  constructor({ read, interval, onFailure = () => {}, onSuccess = () => {} }) {
    Object.assign(this, { read, interval, onFailure, onSuccess });
    this.failures = 0;
    this.timer = null;
    this.active = false;
    this.reading = false;
    this.wake = () => {
      if (!document.hidden) this.now();
    };
  }

  start() {
    if (this.active) return;
    this.active = true;
    document.addEventListener("visibilitychange", this.wake);
    addEventListener("online", this.wake);
    this.now();
  }

  stop() {
    this.active = false;
    clearTimeout(this.timer);
    document.removeEventListener("visibilitychange", this.wake);
    removeEventListener("online", this.wake);
  }

  async now() {
    clearTimeout(this.timer);
    if (!this.active || this.reading) return;
    this.reading = true;
    try {
      await this.read();
      this.failures = 0;
      this.onSuccess();
    } catch (error) {
      this.failures += 1;
      this.onFailure(error);
    } finally {
      this.reading = false;
    }
    if (this.active) this.timer = setTimeout(() => this.now(), this.pause());
  }

  pause() {
    if (this.failures > 0) return RETRY[Math.min(this.failures, RETRY.length) - 1];
    return document.hidden ? Math.max(this.interval(), 15000) : this.interval();
  }
}
