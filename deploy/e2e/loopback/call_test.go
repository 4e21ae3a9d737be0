package loopback

import (
	"context"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
)

// mediaPackets is how many RTP packets each side must receive, about one second of video.
const mediaPackets = 300

// call connects two peers that have signed in. It sends media and one data channel message in each
// direction.
func call(t *testing.T, a, b *peer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	channel, err := a.pc.CreateDataChannel("chat", nil)
	if err != nil {
		t.Fatal(err)
	}
	a.listen(channel)
	b.pc.OnDataChannel(func(d *webrtc.DataChannel) {
		b.listen(d)
		d.OnOpen(func() {
			if err := d.SendText("hello from " + b.name); err != nil {
				t.Errorf("%s: send over the data channel: %v", b.name, err)
			}
		})
	})
	channel.OnOpen(func() {
		if err := channel.SendText("hello from " + a.name); err != nil {
			t.Errorf("%s: send over the data channel: %v", a.name, err)
		}
	})
	answered := make(chan error, 1)
	go func() { answered <- b.answer(ctx) }()
	if err := a.call(ctx, b.name); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	for _, p := range []*peer{a, b} {
		select {
		case <-p.up:
		case <-ctx.Done():
			t.Fatalf("%s: not connected: %s", p.name, p.pc.ICEConnectionState())
		}
	}
	exchange(ctx, t, a, b)
	for _, p := range []*peer{a, b} {
		local, remote, err := p.pair()
		if err != nil || local != webrtc.ICECandidateTypeRelay {
			t.Errorf("%s: the selected pair is %s and %s (error %v), want a relay candidate of its own", p.name, local, remote, err)
		}
	}
}

// exchange waits until both sides have received the media and the message.
func exchange(ctx context.Context, t *testing.T, a, b *peer) {
	t.Helper()
	sending, stop := context.WithCancel(ctx)
	sent := make(chan error, 2)
	for _, p := range []*peer{a, b} {
		go func() { sent <- p.send(sending) }()
	}
	for _, p := range []*peer{a, b} {
		if err := p.received(ctx, mediaPackets); err != nil {
			t.Error(err)
		}
	}
	stop()
	for range 2 {
		if err := <-sent; err != nil {
			t.Errorf("send RTP: %v", err)
		}
	}
	for p, from := range map[*peer]*peer{a: b, b: a} {
		select {
		case text := <-p.text:
			if want := "hello from " + from.name; text != want {
				t.Errorf("%s: received %q over the data channel, want %q", p.name, text, want)
			}
		case <-ctx.Done():
			t.Errorf("%s: received nothing over the data channel", p.name)
		}
	}
}
