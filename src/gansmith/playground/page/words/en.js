import { lab } from "/page/words/lab.en.js";
import { runs } from "/page/words/runs.en.js";
import { explore } from "/page/words/explore.en.js";

export const words = {
  skip: "Skip to the room",
  language: "Language",
  rooms: "Rooms",
  "rooms.lab": "Lab",
  "rooms.runs": "Runs",
  "rooms.explore": "Explore",
  lost: "The server is not there; trying again…",
  refused: "The server does not let this page in: its address lacks the token that was printed.",
  ...lab,
  ...runs,
  ...explore,
};
