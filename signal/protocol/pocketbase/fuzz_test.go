package pocketbase

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// captured holds request bodies that SDK 0.19 and 0.28 sent during calls of the demo, and malformed ones.
var captured = []string{
	`{"identity":"test@example.com","password":"Test123456789"}`,
	`{"user_id":"pyal1v30bcst95p"}`,
	`{"offer":{"sdp":"v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n","type":"offer"}}`,
	`{"answer":{"type":"answer","sdp":"v=0\r\no=- 4611731400430051337 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"}}`,
	`{"call_id":"q0de7i8xyctvz00","data":{"candidate":"candidate:0 1 udp 2113937151 192.0.2.1 5000 typ host generation 0 ufrag abcd network-cost 999","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"abcd"}}`,
	`{"clientId":"65J32F73VNPUVGTUR7AZ4B2D22","subscriptions":["calls/q0de7i8xyctvz00","answer_candidates"]}`,
	`{"clientId":"ZFFD3OE5CXS7M7WKENJAQU5TKM","subscriptions":["calls/aeqlexmoq4n8xyl","answer_candidates/*"]}`,
	`{"clientId":"MGJ3TRNDG6X5PJFMTZSE2JQ7RS","subscriptions":["offer_candidates/*?options=%7B%22query%22%3A%7B%22expand%22%3A%22call_id%22%7D%7D"]}`,
	`{"clientId":"MGJ3TRNDG6X5PJFMTZSE2JQ7RS","subscriptions":[]}`,
	`{"offer":null,"answer":null}`, `null`, `[]`, `{"data":[[[[]]]]}`, `{"data":"\"[[["}`, "{\"subscriptions\":[\"a\\nb\"]}", "\xff", `{"offer":{"type":"\ud800","sdp":""}}`,
}

// Whatever the body, decoded values are within the limits and cannot break out of an event.
func FuzzDecode(f *testing.F) {
	for _, c := range captured {
		f.Add([]byte(c))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if s, ok := decodeCredentials(body); ok && (s.identity == "" || len(s.identity) > maxIdentity || s.password == "" || len(s.password) > maxPassword) {
			t.Errorf("sign-in: %+v", s)
		}
		if d, ok := decodeCall(body); ok {
			for name, v := range map[string][]byte{"offer": d.offer, "answer": d.answer} {
				if v == nil {
					continue
				}
				isSafe(t, body, v)
				var got struct{ Type, SDP *string }
				if err := json.Unmarshal(v, &got); err != nil || got.Type == nil || got.SDP == nil {
					t.Errorf("%s: %s: %v", name, v, err)
				}
			}
		}
		if _, data, ok := decodeCandidate(body); ok {
			isSafe(t, body, data)
		}
		stream, topics, ok := decodeSubscriptions(body)
		if !ok {
			return
		}
		if stream == "" || len(topics) > maxTopics {
			t.Errorf("%q, %d topics", stream, len(topics))
		}
		for _, topic := range topics {
			if topic.text == "" || len(topic.text) > maxTopic || strings.ContainsAny(topic.text, "\r\n\x00") || strings.Contains(topic.id, "?") {
				t.Errorf("topic %+v", topic)
			}
		}
	})
}

// isSafe checks that a value is JSON in UTF-8 on one line, nested no deeper than maxDepth, and no longer than the body.
func isSafe(t *testing.T, body, v []byte) {
	t.Helper()
	if !json.Valid(v) || !utf8.Valid(v) || bytes.ContainsAny(v, "\r\n") || tooDeep(v) || len(v) > len(body) {
		t.Errorf("%q is not safe in an event; decoded from %q", v, body)
	}
}

// A token that the signer did not issue is never accepted.
func FuzzToken(f *testing.F) {
	s := newSigner(secret)
	until := time.Now().Add(1000 * time.Hour)
	good := s.sign(person{user: "pyal1v30bcst95p", signInID: "s", identity: identity}, until)
	f.Add(good)
	f.Add(unsigned(good))
	f.Add("")
	f.Add("a.b.c")
	f.Add("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.")
	f.Fuzz(func(t *testing.T, token string) {
		p, _, err := s.verify(token)
		if err == nil && token != good {
			t.Errorf("%q is accepted as a token of %+v", token, p)
		}
	})
}

// A path is accepted only if it is one of the API's, and an ID only if it is valid.
func FuzzPath(f *testing.F) {
	for _, path := range []string{
		signInPath, refreshPath, serversPath, callsPath, callsPath + "/q0de7i8xyctvz00", streamPath, "/api/collections/calls/records/../../users",
		"", "/", "//", "/api/", "/api/collections/", "/api/collections//records/", "/api/collections/calls/records/*", "/api/realtime/", "/api/calls/records",
	} {
		f.Add("GET", path)
		f.Add("POST", path)
	}
	f.Fuzz(func(t *testing.T, method, path string) {
		do, id, refused := findAction(method, path)
		if refused == nil && (do == nil || id != "" && !validID(id)) {
			t.Errorf("%s %q: %q", method, path, id)
		}
		if refused == nil && id != "" && path != callsPath+"/"+id {
			t.Errorf("%q is accepted as the path of a call", path)
		}
	})
}
