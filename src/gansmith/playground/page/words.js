// Words in the reader's language: one file each in words/, whose keys are the same (a test says so).
export const languages = ["en", "zh"];

export function chosen() {
  const kept = localStorage.getItem("language");
  if (languages.includes(kept)) return kept;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export async function speak(language) {
  const { words } = await import(`/page/words/${language}.js`);
  const say = (key, values = {}) => {
    const text = words[key] ?? key;
    return text.replace(/\{(\w+)\}/g, (all, name) => (name in values ? values[name] : all));
  };
  say.language = language;
  say.has = (key) => key in words;
  return say;
}
