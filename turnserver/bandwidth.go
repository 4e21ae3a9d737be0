package turnserver

import "icebox/turnserver/limit"

// bandwidth holds the buckets that limit the two directions.
type bandwidth struct {
	toPeer, fromPeer limit.Bucket
}

// mayPass reports whether size bytes are within the bandwidth limits of the session, its user, its addresses and the
// server. If so, it removes them from the buckets. direction is bandwidthToPeer or bandwidthFromPeer.
func (s *Server) mayPass(sess *session, now int64, size int, direction func(*bandwidth) *limit.Bucket) bool {
	l := s.limits.Load()
	if !l.anyBandwidth {
		return true
	}
	if direction(&sess.bandwidth).TakeBytes(now, size, l.BandwidthPerAllocation) &&
		sess.entry.pass(now, size, direction, l) &&
		direction(&s.bandwidth).TakeBytes(now, size, l.Bandwidth) {
		return true
	}
	s.countDrop(DropBandwidth)
	return false
}

func bandwidthToPeer(b *bandwidth) *limit.Bucket   { return &b.toPeer }
func bandwidthFromPeer(b *bandwidth) *limit.Bucket { return &b.fromPeer }
