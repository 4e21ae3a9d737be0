package turnserver

// mayPass takes size bytes out of the buckets of the session, its user, its addresses and the
// server, in the direction that pick chooses.
func (s *Server) mayPass(sess *session, now int64, size int, pick func(*pipe) *bucket) bool {
	l := s.limits.Load()
	if !l.anyBandwidth {
		return true
	}
	if pick(&sess.pipe).bytes(now, size, l.BandwidthPerAllocation) &&
		sess.slot.pass(now, size, pick, l) &&
		pick(&s.pipe).bytes(now, size, l.Bandwidth) {
		return true
	}
	s.drop(DropBandwidth)
	return false
}

func toPeer(p *pipe) *bucket   { return &p.toPeer }
func fromPeer(p *pipe) *bucket { return &p.fromPeer }
