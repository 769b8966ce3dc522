"""The playground: see a GAN learn, in a browser. One server, one page, three rooms.

How a room plugs in
-------------------

A room called NAME is two modules:

`playground/NAME.py` has `class Handler(Room)`. One is made for each connection, when the page first speaks to the room.
A message `{"room": NAME, "do": "open", …}` calls its method `do_open(message)`; what that gives (a mapping, or None) is
the answer. Calls come from a worker thread, one after the other; `self.post.say(kind, **fields)` and
`self.post.arrays(kind, {name: array}, **fields)` speak to the page at any time and from any thread, and `close()` is
called when the connection ends. What a user causes is a `Refused`, which is answered in its words.

`page/rooms/NAME.js` exports `open(root, socket, words, place)` and may give back `{close()}`:

    root    an empty element to fill
    socket  ask(do, fields) → a promise of the answer; tell(do, fields); on(kind, heard); `fields` and `arrays` of what
            is heard are the server's. kind "back" is heard when the connection is there again after it was lost
    words   words("lab.run") → the text in the chosen language, from page/words/LANGUAGE.js
    place   text of the room's part of the address (after `#NAME?`), and keep(text) to write it

The room's name is added to `ROOMS` of `server.py`, and to `page/main.js`. Styles are variables of `page/style.css`,
light and dark. There is no build step: what is written is what is served, and nothing comes from the network.
"""
