package turnserver

// mayPass takes size bytes out of the buckets of the session, its user and the
// server, in the direction that pick chooses.
func (s *Server) mayPass(sess *session, now int64, size int, pick func(*pipe) *bucket) bool {
	l := s.limits.Load()
	if l.BandwidthPerAllocation == 0 && l.BandwidthPerUser == 0 && l.Bandwidth == 0 {
		return true
	}
	if pick(&sess.pipe).bytes(now, size, l.BandwidthPerAllocation) &&
		pick(&sess.slot.account.pipe).bytes(now, size, l.BandwidthPerUser) &&
		pick(&s.pipe).bytes(now, size, l.Bandwidth) {
		return true
	}
	s.drop(DropBandwidth)
	return false
}

func toPeer(p *pipe) *bucket   { return &p.toPeer }
func fromPeer(p *pipe) *bucket { return &p.fromPeer }
