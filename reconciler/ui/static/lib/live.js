// @ts-check
// One WebSocket for all pages: what happens is told as it happens. It comes back by itself, from where it was.
import { get } from "./api.js";

/**
 * Types: those of the API (`initial`, `event`, `watcher_event`, `watcher_state_change`, `watcher_deleted`, `refetch`), and
 * `status` with `{status: "connecting" | "connected" | "reconnecting" | "off"}`.
 * @typedef {"initial" | "event" | "watcher_event" | "watcher_state_change" | "watcher_deleted" | "refetch" | "status"} Kind
 * @typedef {(message: any) => void} Listener
 */

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;
/** The server's heartbeat comes every 15 s; a connection this long without a word is dead. */
const SILENCE = 45_000;

class Live {
  /** @type {Map<Kind, Set<Listener>>} */
  #listeners = new Map();
  /** @type {WebSocket | null} */
  #socket = null;
  #seq = 0;
  #failures = 0;
  #wanted = false;
  #timer = 0;
  #silence = 0;
  /** @type {"connecting" | "connected" | "reconnecting" | "off"} */
  status = "off";

  /**
   * Listen to one type of message; returns how to stop.
   * @param {Kind} kind
   * @param {Listener} listener
   * @returns {() => void}
   */
  on(kind, listener) {
    const those = this.#listeners.get(kind) ?? new Set();
    this.#listeners.set(kind, those.add(listener));
    return () => void those.delete(listener);
  }

  /** Connect, if that was not done yet. */
  start() {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#open();
  }

  /** Disconnect, and stay so until `start`. */
  stop() {
    this.#wanted = false;
    clearTimeout(this.#timer);
    clearTimeout(this.#silence);
    this.#socket?.close();
    this.#socket = null;
    this.#seq = 0;
    this.#say("off");
  }

  /** Try again now, where a pause is being made. */
  retry() {
    if (!this.#wanted || this.#socket) return;
    clearTimeout(this.#timer);
    this.#open();
  }

  #open() {
    this.#say(this.#failures || this.#seq ? "reconnecting" : "connecting");
    const since = this.#seq ? `?since=${this.#seq}` : "";
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/ws/watchers${since}`);
    this.#socket = socket;
    socket.onopen = () => this.#say("connected");
    socket.onmessage = (message) => this.#take(String(message.data));
    socket.onclose = () => this.#closed(socket);
    this.#listen(socket);
  }

  /** @param {string} text */
  #take(text) {
    const message = JSON.parse(text);
    this.#failures = 0; // a server may take a connection only to end it
    if (this.#socket) this.#listen(this.#socket);
    if (typeof message.seq === "number") this.#seq = message.seq; // less than before where the server has another state now
    if (message.type !== "heartbeat") this.#tell(message.type, message);
  }

  /** @param {WebSocket} socket */
  #listen(socket) {
    clearTimeout(this.#silence);
    this.#silence = window.setTimeout(() => socket.close(), SILENCE);
  }

  /** @param {WebSocket} socket */
  async #closed(socket) {
    if (this.#socket !== socket) return;
    this.#socket = null;
    clearTimeout(this.#silence);
    if (!this.#wanted) return;
    this.#failures += 1;
    this.#say("reconnecting");
    const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** (this.#failures - 1));
    this.#timer = window.setTimeout(() => this.#open(), wait * (0.75 + Math.random() / 2));
    // A refused handshake says nothing of why; this tells whoever listens when the session is over.
    if (this.#failures > 1) await get("/api/session").catch(() => undefined);
  }

  /** @param {Live["status"]} status */
  #say(status) {
    if (this.status === status) return;
    this.status = status;
    this.#tell("status", { type: "status", status });
  }

  /**
   * @param {Kind} kind
   * @param {any} message
   */
  #tell(kind, message) {
    for (const listener of [...(this.#listeners.get(kind) ?? [])]) listener(message);
  }
}

export const live = new Live();
window.addEventListener("online", () => live.retry());
document.addEventListener("visibilitychange", () => document.hidden || live.retry());
