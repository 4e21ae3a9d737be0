package native

// replayBuffer holds the latest numbered frames until the client acknowledges them. When the client resumes, the session
// sends it those that it has missed. The zero value is empty and ready to use.
type replayBuffer struct {
	frames  [][]byte
	lastSeq uint64 // the number of the latest frame, whether it is still held or not; 0 before the first
	bytes   int    // in frames
}

func (r *replayBuffer) push(frame []byte) {
	r.frames = append(r.frames, frame)
	r.bytes += len(frame)
	r.lastSeq++
}

// nextSeq returns the number of the next frame.
func (r *replayBuffer) nextSeq() uint64 { return r.lastSeq + 1 }

// firstSeq returns the number of the oldest frame that is held, or nextSeq if the buffer is empty.
func (r *replayBuffer) firstSeq() uint64 { return r.lastSeq + 1 - uint64(len(r.frames)) }

// trim drops the oldest frames until the rest are within the limits, and reports whether it dropped any. It keeps the
// latest frame even if that alone has too many bytes.
func (r *replayBuffer) trim(frames, bytes int) (dropped bool) {
	for len(r.frames) > frames || len(r.frames) > 1 && r.bytes > bytes {
		r.dropOldest()
		dropped = true
	}
	return dropped
}

// ack drops the frames up to number n, which the client has received.
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

// after returns the frames above number n. It returns false if some of them have been dropped, or if no frame has had
// number n yet.
func (r *replayBuffer) after(n uint64) (frames [][]byte, ok bool) {
	if n > r.lastSeq || n+1 < r.firstSeq() {
		return nil, false
	}
	return r.frames[n+1-r.firstSeq():], true
}
