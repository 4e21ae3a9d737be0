package topics

import (
	"errors"
	"time"

	"icebox/signal"
)

// maxTopic is the longest name of a topic, in bytes.
const maxTopic = 256

const (
	inlineWrites = 16  // of one publication, for who reads for others
	writeBytes   = 256 // that writing counts for, beside what is written
	outPerByte   = 4   // bytes written that count as one byte read
)

// Member is a client of a handler. Its methods are for its dialect alone, which calls them from [Dialect.Text].
type Member struct {
	handler *Handler
	client  *signal.Client
	topics  map[string]struct{}
}

// Subscribe has the client sent what is published. Doing so again changes nothing. The error is a *signal.Error and has been counted.
func (m *Member) Subscribe(topic string) error {
	if _, there := m.topics[topic]; there {
		return nil
	}
	l := m.handler.hub.Limits().Topics
	var err error
	switch {
	case topic == "" || len(topic) > maxTopic:
		err = signal.ErrBadTopic
	case len(m.topics) >= l.PerClient:
		err = signal.ErrTopicLimit
	default:
		err = m.handler.subscriptions.subscribe(topic, m.client, l)
	}
	if err != nil {
		m.sendRefusal(err, topic)
		return err
	}
	if m.topics == nil {
		m.topics = make(map[string]struct{})
	}
	m.topics[topic] = struct{}{}
	return nil
}

// Unsubscribe ends Subscribe.
func (m *Member) Unsubscribe(topic string) {
	if _, there := m.topics[topic]; there {
		delete(m.topics, topic)
		m.handler.subscriptions.unsubscribe(topic, m.client)
	}
}

// Publish sends everybody who has subscribed to a topic the frame that is made for so many. It has to be returned by Text, if it isn't nil.
func (m *Member) Publish(topic string, frame func(subscribers int) []byte) (slow func()) {
	m.handler.metrics.published.Inc()
	to := m.handler.subscriptions.subscribers(topic)
	if len(to) == 0 {
		return nil
	}
	f := frame(len(to))
	wait := m.client.Charge(len(to) * (len(f) + writeBytes) / outPerByte)
	if len(to) <= inlineWrites && wait == 0 {
		m.deliver(to, f)
		return nil
	}
	return func() {
		m.deliver(to, f)
		m.sleep(wait)
	}
}

func (m *Member) deliver(to []*signal.Client, frame []byte) {
	delivered := 0
	for _, c := range to {
		err := c.Forward(m.client.ID(), frame)
		switch {
		case err == nil:
			delivered++
		case errors.Is(err, signal.ErrPeerBusy):
			m.handler.metrics.dropped.Inc()
		}
	}
	m.handler.metrics.delivered.Add(float64(delivered))
}

// sleep waits, or until the client ends.
func (m *Member) sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-m.client.Done():
	}
}

// Send sends the client a frame of the protocol's own.
func (m *Member) Send(frame []byte) { m.client.Send(frame) }

// CountRefusal counts a message that makes no sense. The client isn't told: none of these protocols has words for that.
func (m *Member) CountRefusal(e *signal.Error) { m.handler.hub.CountRefusal(e) }

// sendRefusal counts a refusal, and tells the client what its protocol bears to hear.
func (m *Member) sendRefusal(err error, topic string) {
	var e *signal.Error
	if !errors.As(err, &e) {
		e = signal.ErrUnavailable
	}
	m.handler.hub.CountRefusal(e)
	m.client.Send(m.handler.dialect.EncodeRefusal(e, topic))
}

// unsubscribeAll ends all subscriptions, when the client has gone.
func (m *Member) unsubscribeAll() {
	for topic := range m.topics {
		m.handler.subscriptions.unsubscribe(topic, m.client)
	}
	m.topics = nil
}
