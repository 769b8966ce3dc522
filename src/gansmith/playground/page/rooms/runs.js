export async function open(root, socket, words, place) {
  const answer = await socket.ask("hello");
  root.textContent = answer.hello;
}
