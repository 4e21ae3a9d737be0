package loopback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"icebox/deploy/e2e/classic"
)

// peer is one side of a call: a classic signalling client and a peer connection that may use relay
// candidates only.
type peer struct {
	name    string
	signal  *classic.Client
	pc      *webrtc.PeerConnection
	track   *webrtc.TrackLocalStaticRTP
	packets atomic.Int64 // number of RTP packets received from the other side
	text    chan string  // message received over the data channel
	up      chan struct{}
	upOnce  sync.Once
}

// newPeer returns a peer. signal must already have signed in as name.
func newPeer(t *testing.T, name string, signal *classic.Client, servers []webrtc.ICEServer) *peer {
	t.Helper()
	var s webrtc.SettingEngine
	s.SetIncludeLoopbackCandidate(true)
	s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	var m webrtc.MediaEngine
	if err := m.RegisterDefaultCodecs(); err != nil {
		t.Fatal(err)
	}
	api := webrtc.NewAPI(webrtc.WithSettingEngine(s), webrtc.WithMediaEngine(&m))
	pc, err := api.NewPeerConnection(webrtc.Configuration{ICEServers: servers, ICETransportPolicy: webrtc.ICETransportPolicyRelay})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pc.GracefulClose(); err != nil {
			t.Errorf("%s: close: %v", name, err)
		}
	})
	p := &peer{name: name, signal: signal, pc: pc, text: make(chan string, 1), up: make(chan struct{})}
	p.track, err = webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8}, "video", name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pc.AddTrack(p.track); err != nil {
		t.Fatal(err)
	}
	pc.OnTrack(func(r *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { p.count(r) })
	pc.OnDataChannel(p.listen)
	pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		if state == webrtc.PeerConnectionStateConnected {
			p.upOnce.Do(func() { close(p.up) })
		}
	})
	return p
}

func (p *peer) count(r *webrtc.TrackRemote) {
	for {
		if _, _, err := r.ReadRTP(); err != nil {
			return // the connection is closed
		}
		p.packets.Add(1)
	}
}

func (p *peer) listen(d *webrtc.DataChannel) {
	d.OnMessage(func(m webrtc.DataChannelMessage) {
		select {
		case p.text <- string(m.Data):
		default:
		}
	})
}

// gather sets a local description and waits for all its candidates, so that one message can carry
// them.
func (p *peer) gather(ctx context.Context, d webrtc.SessionDescription) (json.RawMessage, error) {
	all := webrtc.GatheringCompletePromise(p.pc)
	if err := p.pc.SetLocalDescription(d); err != nil {
		return nil, fmt.Errorf("%s: set the local description: %w", p.name, err)
	}
	select {
	case <-all:
		return json.Marshal(p.pc.LocalDescription())
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: gather candidates: %w", p.name, ctx.Err())
	}
}

// call sends an offer to the peer called name and applies its answer.
func (p *peer) call(ctx context.Context, name string) error {
	offer, err := p.pc.CreateOffer(nil)
	if err != nil {
		return err
	}
	text, err := p.gather(ctx, offer)
	if err != nil {
		return err
	}
	if err := p.signal.Send(classic.Message{Type: "offer", Offer: text, Name: name}); err != nil {
		return err
	}
	m, err := p.signal.Receive()
	if err != nil {
		return err
	}
	return p.accept(m.Answer)
}

// answer waits for one offer and answers it.
func (p *peer) answer(ctx context.Context) error {
	m, err := p.signal.Receive()
	if err != nil {
		return err
	}
	if err := p.accept(m.Offer); err != nil {
		return err
	}
	answer, err := p.pc.CreateAnswer(nil)
	if err != nil {
		return err
	}
	text, err := p.gather(ctx, answer)
	if err != nil {
		return err
	}
	return p.signal.Send(classic.Message{Type: "answer", Answer: text, Name: m.Name})
}

func (p *peer) accept(text json.RawMessage) error {
	var d webrtc.SessionDescription
	if err := json.Unmarshal(text, &d); err != nil {
		return fmt.Errorf("%s: read the other side's description %q: %w", p.name, text, err)
	}
	return p.pc.SetRemoteDescription(d)
}

// send sends RTP packets until ctx ends.
func (p *peer) send(ctx context.Context) error {
	pace := time.NewTicker(2 * time.Millisecond)
	defer pace.Stop()
	payload := make([]byte, 1000)
	for n := uint16(0); ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-pace.C:
		}
		packet := &rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: n, Timestamp: uint32(n) * 180}, Payload: payload}
		if err := p.track.WriteRTP(packet); err != nil && !errors.Is(err, io.ErrClosedPipe) {
			return err
		}
	}
}

// received waits until want RTP packets have arrived from the other side.
func (p *peer) received(ctx context.Context, want int64) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for p.packets.Load() < want {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: got %d RTP packets, want %d: %w", p.name, p.packets.Load(), want, ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

// pair returns the types of the selected candidates.
func (p *peer) pair() (local, remote webrtc.ICECandidateType, err error) {
	selected, err := p.pc.SCTP().Transport().ICETransport().GetSelectedCandidatePair()
	if err != nil {
		return local, remote, err
	}
	return selected.Local.Typ, selected.Remote.Typ, nil
}
