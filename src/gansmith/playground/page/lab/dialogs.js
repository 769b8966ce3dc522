// The gallery of failures and cures, and the copies of a training.
import { el } from "/page/lab/dom.js";

function dialog(title, words, ...inside) {
  const close = el("button", { type: "button", onclick: () => made.close() }, words("lab.close"));
  const made = el("dialog", { "aria-label": title }, el("h2", {}, title), ...inside, el("p", { class: "bar" }, close));
  made.addEventListener("close", () => made.remove());
  document.body.append(made);
  made.showModal();
  return made;
}

export function gallery(words, exhibits, show) {
  const cards = exhibits.map((each) => {
    const go = (cured) => () => (made.close(), show(each, cured));
    return el(
      "article",
      { class: "card" },
      el("h3", {}, words(`lab.show.${each.name}`)),
      el("p", {}, words(`lab.show.${each.name}.why`)),
      el("p", {}, el("button", { type: "button", class: "main", "data-exhibit": each.name, onclick: go(false) }, words("lab.show.fail"))),
      el("p", {}, words(`lab.show.${each.name}.cure`)),
      el("p", { class: "bar" },
        el("button", { type: "button", "data-cure": each.name, onclick: go(true) }, words("lab.show.cure")),
        el("button", { type: "button", "data-both": each.name, onclick: () => (made.close(), show(each, "both")) }, words("lab.show.both"))),
    );
  });
  const made = dialog(words("lab.gallery"), words, el("div", { class: "exhibits" }, ...cards));
}

export function copies(words, texts, drawn, fetchFile) {
  const area = el("textarea", { readonly: true, "aria-label": words("lab.copy"), spellcheck: "false" });
  const tabs = ["command", "yaml", "python"].map((kind) =>
    el("button", { type: "button", "data-copy": kind, onclick: () => choose(kind) }, words(`lab.copy.${kind}`)));
  const choose = (kind) => {
    area.value = texts[kind];
    for (const tab of tabs) tab.setAttribute("aria-pressed", String(tab.dataset.copy === kind));
  };
  const copied = el("span", { role: "status" });
  const copy = async () => {
    area.select();
    try {
      await navigator.clipboard.writeText(area.value);
    } catch {
      document.execCommand("copy"); // a page that is not served over https may have no clipboard
    }
    copied.textContent = words("lab.copied");
  };
  choose("command");
  dialog(
    words("lab.copy"), words, el("div", { class: "tabs" }, ...tabs), area,
    el("p", { class: "small quiet" }, words(texts.same ? "lab.copy.same" : "lab.copy.other", { images: texts.images.toLocaleString("en") })),
    drawn ? el("p", { class: "small" }, words("lab.copy.drawn"), " ", el("button", { type: "button", onclick: fetchFile }, words("lab.copy.file"))) : null,
    el("p", { class: "bar" }, el("button", { type: "button", class: "main", onclick: copy }, words("lab.copy.do")), copied),
  );
}
