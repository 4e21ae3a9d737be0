package native

// ring keeps the latest numbered frames until the client says that it has them.
type ring struct {
	frames [][]byte
	last   uint64 // the number of the last frame ever kept
	bytes  int
}

func (r *ring) push(frame []byte) {
	r.frames = append(r.frames, frame)
	r.bytes += len(frame)
	r.last++
}

// next is the number that the next frame gets.
func (r *ring) next() uint64 { return r.last + 1 }

// first is the number of the oldest frame kept, or next.
func (r *ring) first() uint64 { return r.last + 1 - uint64(len(r.frames)) }

// trim drops the oldest frames until what is left is within the limits, and reports whether it had to.
func (r *ring) trim(frames, bytes int) (dropped bool) {
	for len(r.frames) > frames || len(r.frames) > 1 && r.bytes > bytes {
		r.drop()
		dropped = true
	}
	return dropped
}

// ack drops the frames up to a number.
func (r *ring) ack(n uint64) {
	for len(r.frames) > 0 && r.first() <= n {
		r.drop()
	}
}

func (r *ring) drop() {
	r.bytes -= len(r.frames[0])
	r.frames[0] = nil
	if r.frames = r.frames[1:]; len(r.frames) == 0 {
		r.frames = nil
	}
}

// after returns the frames behind a number, or false if some of them have been dropped, or it was never given.
func (r *ring) after(n uint64) (frames [][]byte, ok bool) {
	if n > r.last || n+1 < r.first() {
		return nil, false
	}
	return r.frames[n+1-r.first():], true
}
