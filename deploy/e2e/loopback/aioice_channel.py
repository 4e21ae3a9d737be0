# A client built on aioice keeps one channel in use: it sends a message to an echo peer each second and waits for the
# answer. It prints how many messages came back, and fails at the first that does not.
# Usage: aioice_channel.py RELAY-PORT USER PASSWORD PEER-HOST PEER-PORT SECONDS
import asyncio
import sys
import time

from aioice import turn

port, user, password, host, peer_port, seconds = sys.argv[1:]
peer = (host, int(peer_port))
answer_within = 5  # seconds


class Receiver(asyncio.DatagramProtocol):
    def __init__(self):
        self.received = asyncio.Queue()

    def datagram_received(self, data, addr):
        self.received.put_nowait((data, addr))


async def main():
    transport, receiver = await turn.create_turn_endpoint(Receiver, ("127.0.0.1", int(port)), user, password)
    start, count = time.monotonic(), 0
    while (at := time.monotonic() - start) < float(seconds):
        message = b"message %d" % count
        transport.sendto(message, peer)
        try:
            got = await asyncio.wait_for(receiver.received.get(), answer_within)
        except asyncio.TimeoutError:
            sys.exit(f"no answer to the message sent after {at:.0f} s")
        if got != (message, peer):
            sys.exit(f"got {got}, want {message}")
        count += 1
        await asyncio.sleep(1)
    transport.close()
    print(count)


asyncio.run(main())
