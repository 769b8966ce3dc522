// The shell: which room is open, in which language, and whether the server is there.
import { Line } from "/page/socket.js";
import { chosen, speak, languages } from "/page/words.js";

const ROOMS = ["lab", "runs", "explore"];
const $ = (id) => document.getElementById(id);
const toast = $("toast");
let fading;

export function complain(problem) {
  const text = [problem.refused, problem.remedy].filter(Boolean).join(" — ") || String(problem.message || problem);
  toast.textContent = text;
  clearTimeout(fading);
  fading = setTimeout(() => (toast.textContent = ""), 9000);
}

const words = await speak(chosen());
let open = null, opening = 0, own = null;
const line = new Line((state, code) => {
  $("link").textContent = state === "open" ? "" : words(code === 1008 ? "refused" : "lost");
  $("link").className = state === "open" ? "" : "lost";
}, complain);

function parts() {
  const [name, ...rest] = decodeURI(location.hash.slice(1)).split("?");
  return ROOMS.includes(name) ? [name, rest.join("?")] : ["lab", ""];
}

async function enter() {
  const turn = ++opening;
  const [name, text] = parts();
  const module = await import(`/page/rooms/${name}.js`);
  if (turn !== opening) return;
  if (open) {
    if (open.room && open.room.close) open.room.close();
    line.forget(open.name);
  }
  const root = document.createElement("div");
  root.className = `room ${name}`;
  $("room").replaceChildren(root);
  for (const a of $("rooms").children) {
    if (a.dataset.room === name) a.setAttribute("aria-current", "page");
    else a.removeAttribute("aria-current");
  }
  document.title = `${words(`rooms.${name}`)} · gansmith playground`;
  const place = {
    text,
    keep: (now) => {
      own = `#${name}${now ? `?${now}` : ""}`;
      history.replaceState(null, "", own);
    },
  };
  open = { name, room: null };
  open.room = await module.open(root, line.of(name), words, place, complain);
}

document.documentElement.lang = words.language;
for (const each of document.querySelectorAll("[data-words]")) each.textContent = words(each.dataset.words);
$("rooms").setAttribute("aria-label", words("rooms"));
for (const name of ROOMS) {
  const a = document.createElement("a");
  a.href = `#${name}`;
  a.dataset.room = name;
  a.textContent = words(`rooms.${name}`);
  $("rooms").append(a);
}
$("language").value = words.language;
$("language").onchange = () => {
  localStorage.setItem("language", $("language").value);
  location.reload();
};
if (!languages.includes($("language").value)) $("language").value = "en";
document.querySelector(".skip").onclick = (event) => {
  event.preventDefault();
  $("room").focus();
};
addEventListener("hashchange", () => location.hash !== own && enter().catch(complain));
enter().catch(complain);
