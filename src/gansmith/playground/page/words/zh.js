import { lab } from "/page/words/lab.zh.js";
import { runs } from "/page/words/runs.zh.js";
import { explore } from "/page/words/explore.zh.js";

export const words = {
  skip: "跳到房间内容",
  language: "语言",
  rooms: "房间",
  "rooms.lab": "实验室",
  "rooms.runs": "训练记录",
  "rooms.explore": "探索",
  lost: "连不上服务器，正在重试…",
  refused: "服务器不允许此页面进入：地址里缺少启动时打印的令牌。",
  ...lab,
  ...runs,
  ...explore,
};
