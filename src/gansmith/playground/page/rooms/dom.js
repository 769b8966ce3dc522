// Elements and numbers, for the Runs and the Explore room.

export function el(tag, fields = {}, ...inner) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(fields)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "class") made.className = value;
    else if (name in made && !name.startsWith("aria") && name !== "list" && name !== "for") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...inner.flat(Infinity).filter((each) => each !== null && each !== undefined && each !== false));
  return made;
}

export async function style(name) {
  const href = `/page/rooms/${name}.css`;
  if (document.querySelector(`link[href="${href}"]`)) return;
  const link = el("link", { rel: "stylesheet", href });
  const loaded = new Promise((done) => (link.onload = link.onerror = done));
  document.head.append(link);
  await loaded;
}

export function figures(language) {
  const plain = new Intl.NumberFormat(language, { maximumSignificantDigits: 4 });
  const wide = new Intl.NumberFormat(language);
  const short = new Intl.NumberFormat(language, { notation: "compact", maximumSignificantDigits: 3 });
  const number = (value) => {
    if (value === null || value === undefined) return "–";
    const size = Math.abs(value);
    return size && (size < 1e-3 || size >= 1e6) ? value.toExponential(2) : plain.format(value);
  };
  const time = (seconds) => {
    const s = Math.max(0, Math.round(seconds));
    if (s < 60) return `${s} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
    return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  };
  return { number, whole: (value) => wide.format(value), short: (value) => short.format(value), time };
}

// Asks at most once at a time, and of what was wanted meanwhile only the last.
export function latest(work) {
  let busy = false, next = null;
  return async function ask(...given) {
    if (busy) {
      next = given;
      return;
    }
    busy = true;
    try {
      await work(...given);
    } finally {
      busy = false;
      if (next) {
        const now = next;
        next = null;
        ask(...now);
      }
    }
  };
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without a secure origin there is no clipboard: a selection that the reader can copy.
    const area = el("textarea", { value: text, class: "unseen" });
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
