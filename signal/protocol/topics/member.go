package topics

import (
	"errors"
	"time"

	"icebox/signal"
)

// maxTopic is the greatest length of a topic's name in bytes.
const maxTopic = 256

const (
	inlineWrites = 16  // subscribers that HandleText itself may write to; more would hold up the goroutine that reads for many clients
	writeBytes   = 256 // bytes that each subscriber counts in addition to the frame
	outPerByte   = 4   // written bytes that count as much as one byte that was read
)

// Member is one client of a Handler. Only its dialect may call its methods, and only within [Dialect.HandleText].
type Member struct {
	handler *Handler
	client  *signal.Client
	topics  map[string]struct{}
}

// Subscribe subscribes the client to a topic. If the client is already subscribed, nothing changes. The error is a
// *signal.Error; the client has been told and the refusal counted.
func (m *Member) Subscribe(topic string) error {
	if _, subscribed := m.topics[topic]; subscribed {
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

// Unsubscribe ends the client's subscription to a topic, if there is one.
func (m *Member) Unsubscribe(topic string) {
	if _, subscribed := m.topics[topic]; subscribed {
		delete(m.topics, topic)
		m.handler.subscriptions.unsubscribe(topic, m.client)
	}
}

// Publish sends a publication to all subscribers of a topic. It calls frame, with the number of subscribers, for the frame
// to send, unless there are none. If there are more than inlineWrites subscribers, or if the client exceeds its rate,
// Publish sends nothing yet but returns a function that sends the frames and then waits as long as the rate demands.
// HandleText must return that function.
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

// sleep blocks for a duration, or until the client ends.
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

// Send sends the client a frame.
func (m *Member) Send(frame []byte) { m.client.Send(frame) }

// CountRefusal counts a malformed message. The client is not told, because none of these protocols has a message for that.
func (m *Member) CountRefusal(e *signal.Error) { m.handler.hub.CountRefusal(e) }

// sendRefusal counts a refusal and tells the client.
func (m *Member) sendRefusal(err error, topic string) {
	var e *signal.Error
	if !errors.As(err, &e) {
		e = signal.ErrUnavailable
	}
	m.handler.hub.CountRefusal(e)
	m.client.Send(m.handler.dialect.EncodeRefusal(e, topic))
}

// unsubscribeAll ends all subscriptions. It is called when the client has ended.
func (m *Member) unsubscribeAll() {
	for topic := range m.topics {
		m.handler.subscriptions.unsubscribe(topic, m.client)
	}
	m.topics = nil
}
