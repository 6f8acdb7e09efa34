"""A TCP relay that can cut, hold and refuse what it carries: the network of the crash tests."""

import asyncio
import socket
import struct
import threading

CHUNK = 65536
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends a reset


class Relay:
    """Listens on loopback and passes bytes on to `target_port`, in a thread of its own."""

    def __init__(self, target_port, port=0):
        self.target_port = target_port
        self.loop = asyncio.new_event_loop()
        self.writers = set()
        self.flowing = {"up": asyncio.Event(), "down": asyncio.Event()}
        self.refusing = False
        self.server = None
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.port = self.call(self.listen(port))

    def call(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    async def listen(self, port):
        for event in self.flowing.values():
            event.set()
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", port)
        return self.server.sockets[0].getsockname()[1]

    async def serve(self, reader, writer):
        if self.refusing:
            self.reset(writer)
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            self.reset(writer)
            return
        self.writers |= {writer, far_writer}
        await asyncio.gather(
            self.carry("up", reader, far_writer), self.carry("down", far_reader, writer)
        )
        self.writers -= {writer, far_writer}

    async def carry(self, direction, reader, writer):
        try:
            while data := await reader.read(CHUNK):
                await self.flowing[direction].wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    @staticmethod
    def reset(writer):
        sock = writer.get_extra_info("socket")
        if sock is not None and sock.fileno() >= 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        writer.transport.abort()

    async def cut_all(self, refuse):
        self.refusing = refuse
        writers, self.writers = self.writers, set()
        for writer in writers:
            self.reset(writer)

    def cut(self, refuse=False):
        """Reset every connection; with `refuse` also those that come, until allow()."""
        self.call(self.cut_all(refuse))

    def allow(self):
        self.refusing = False

    async def set_flow(self, directions, flows):
        for direction in directions:
            if flows:
                self.flowing[direction].set()
            else:
                self.flowing[direction].clear()

    def hold(self, *directions):
        """Bytes of these directions, up and down, stay here until release() or a cut."""
        self.call(self.set_flow(directions or ("up", "down"), False))

    def release(self):
        self.call(self.set_flow(("up", "down"), True))

    async def shut(self):
        self.server.close()
        await self.cut_all(True)
        await self.set_flow(("up", "down"), True)
        await asyncio.sleep(0)

    def close(self):
        self.call(self.shut())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
