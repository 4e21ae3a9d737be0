package native

// ring keeps the latest numbered frames until the client says that it has them.
type replayBuffer struct {
	frames  [][]byte
	lastSeq uint64 // the number of the last frame ever kept
	bytes   int
}

func (r *replayBuffer) push(frame []byte) {
	r.frames = append(r.frames, frame)
	r.bytes += len(frame)
	r.lastSeq++
}

// next is the number that the next frame gets.
func (r *replayBuffer) nextSeq() uint64 { return r.lastSeq + 1 }

// first is the number of the oldest frame kept, or next.
func (r *replayBuffer) firstSeq() uint64 { return r.lastSeq + 1 - uint64(len(r.frames)) }

// trim drops the oldest frames until what is left is within the limits, and reports whether it had to.
func (r *replayBuffer) trim(frames, bytes int) (dropped bool) {
	for len(r.frames) > frames || len(r.frames) > 1 && r.bytes > bytes {
		r.dropOldest()
		dropped = true
	}
	return dropped
}

// ack drops the frames up to a number.
func (r *replayBuffer) ack(n uint64) {
	for len(r.frames) > 0 && r.firstSeq() <= n {
		r.dropOldest()
	}
}

func (r *replayBuffer) dropOldest() {
	r.bytes -= len(r.frames[0])
	r.frames[0] = nil
	if r.frames = r.frames[1:]; len(r.frames) == 0 {
		r.frames = nil
	}
}

// after returns the frames behind a number, or false if some of them have been dropped, or it was never given.
func (r *replayBuffer) after(n uint64) (frames [][]byte, ok bool) {
	if n > r.lastSeq || n+1 < r.firstSeq() {
		return nil, false
	}
	return r.frames[n+1-r.firstSeq():], true
}
