// One WebSocket for all rooms: questions and answers, what the server tells, and coming back after a loss.

export function unpack(buffer) {
  const size = new DataView(buffer).getUint32(0, true);
  const fields = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  const arrays = {};
  let at = 4 + size;
  for (const [name, kind, shape] of fields.arrays) {
    const count = shape.reduce((a, b) => a * b, 1);
    arrays[name] = kind === "u" ? new Uint8Array(buffer, at, count) : new Float32Array(buffer, at, count);
    arrays[name].shape = shape;
    at += Math.ceil((count * (kind === "u" ? 1 : 4)) / 4) * 4;
  }
  fields.arrays = arrays;
  return fields;
}

export class Line {
  constructor(changed, complained) {
    this.changed = changed; // told "open", "lost"
    this.complained = complained; // told of what was refused and nobody asked for
    this.heard = {}; // room → kind → functions
    this.asked = new Map();
    this.next = 1;
    this.wait = 250;
    this.first = true;
    this.dial();
  }

  dial() {
    const token = new URLSearchParams(location.search).get("token");
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.ready = new Promise((done) => (this.opened = done));
    const line = new WebSocket(`${scheme}://${location.host}/socket${token ? `?token=${encodeURIComponent(token)}` : ""}`);
    this.line = line;
    line.binaryType = "arraybuffer";
    line.onopen = () => {
      this.wait = 250;
      this.opened();
      this.changed("open");
      if (!this.first) for (const kinds of Object.values(this.heard)) for (const f of kinds.back || []) f({});
      this.first = false;
    };
    line.onmessage = (event) => this.take(event.data);
    line.onclose = (event) => {
      for (const { fail } of this.asked.values()) fail({ refused: "the connection was lost", remedy: null, lost: true });
      this.asked.clear();
      this.changed("lost", event.code);
      // Not allowed is not a loss; everything else is tried again.
      if (event.code !== 1008) setTimeout(() => this.dial(), this.wait);
      this.wait = Math.min(this.wait * 2, 4000);
    };
  }

  take(data) {
    const fields = typeof data === "string" ? JSON.parse(data) : unpack(data);
    if (fields.kind === "answer") {
      const waiting = this.asked.get(fields.id);
      this.asked.delete(fields.id);
      if (waiting) fields.refused ? waiting.fail(fields) : waiting.done(fields);
      return;
    }
    const functions = (this.heard[fields.room] || {})[fields.kind] || [];
    for (const f of [...functions]) f(fields);
    if (fields.kind === "refused" && !functions.length) this.complained(fields);
  }

  // One room's end of the line.
  of(room) {
    const mine = (this.heard[room] = {});
    return {
      tell: (act, fields = {}) =>
        this.line.readyState === WebSocket.OPEN && this.line.send(JSON.stringify({ ...fields, room, do: act })),
      ask: async (act, fields = {}) => {
        await this.ready;
        const id = this.next++;
        return new Promise((done, fail) => {
          this.asked.set(id, { done, fail });
          this.line.send(JSON.stringify({ ...fields, room, do: act, id }));
        });
      },
      on: (kind, heard) => ((mine[kind] = mine[kind] || []).push(heard), undefined),
    };
  }

  forget(room) {
    delete this.heard[room];
  }
}
