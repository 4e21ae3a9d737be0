package calls

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"icebox/deploy/e2e/abuse/turn"
	"icebox/deploy/e2e/browser"
	"icebox/deploy/e2e/netlab"
	"icebox/deploy/e2e/server"
)

// gather is the body of a function that returns the first relay candidate of a connection, or "" if there is none.
const gather = `
	const peer = new RTCPeerConnection({ iceServers: [args], iceTransportPolicy: "relay" });
	const first = new Promise((found) => {
		peer.onicecandidate = ({ candidate }) => { if (candidate?.candidate) found(candidate.candidate); };
		peer.onicegatheringstatechange = () => { if (peer.iceGatheringState === "complete") found(""); };
		setTimeout(found, 10_000, "");
	});
	peer.createDataChannel("");
	await peer.setLocalDescription(await peer.createOffer());
	const candidate = await first;
	peer.close();
	return candidate;`

// iceServer is an RTCIceServer.
type iceServer struct {
	URLs       string `json:"urls"`
	Username   string `json:"username"`
	Credential string `json:"credential"`
}

// TestDrainToAlternate has two daemons, of which the first drains and knows the second as its alternate. Clients that are
// built on libwebrtc ask the first and get a relay address of the second.
func TestDrainToAlternate(t *testing.T) {
	t.Parallel()
	const secret, firstPort, secondPort = "shared by both daemons", 3478, 3479
	lab := netlab.New(t, netlab.Options{Name: name, NoV6: true})
	chromium := startBrowser(t, lab)
	daemon := func(port int, relayPorts, more string) *server.Icebox {
		return server.StartIcebox(t, server.IceboxOptions{Host: lab.Host(netlab.VPS), Admin: fmt.Sprintf("127.0.0.1:%d", port+10), Config: fmt.Sprintf(`
turn: {listen: [{address: "%s:%d"}], relay_ports: %s}
credentials: {secrets: [{secret: %q}]}
http: {listen: [{address: "127.0.0.1:%d"}]}
shutdown: {drain: 100ms%s}`, netlab.PublicV4, port, relayPorts, secret, port+20, more)})
	}
	first := daemon(firstPort, "50000-50999", fmt.Sprintf(`, alternate_servers: ["%s:%d"]`, netlab.PublicV4, secondPort))
	daemon(secondPort, "51000-51999", "")
	drain(t, lab, first, netip.AddrPortFrom(netlab.PublicV4, firstPort), turn.Mint(secret, "a call before"))

	libwebrtc := map[string]func(t *testing.T, s iceServer) string{
		"chromium": func(t *testing.T, s iceServer) (candidate string) {
			chromium.In(t).Run(gather, s, &candidate)
			return candidate
		},
		"wrtc": func(t *testing.T, s iceServer) string { return runWRTC(t, lab, s) },
	}
	for client, run := range libwebrtc {
		for _, transport := range []string{"udp", "tcp"} {
			t.Run(client+"/"+transport, func(t *testing.T) {
				login := turn.Mint(secret, client)
				candidate := run(t, iceServer{fmt.Sprintf("turn:%s:%d?transport=%s", name, firstPort, transport), login.User, login.Password})
				fields := strings.Fields(candidate) // RFC 8839 section 5.1
				if len(fields) < 8 || fields[4] != netlab.PublicV4.String() || !strings.HasPrefix(fields[5], "51") || fields[7] != "relay" {
					t.Errorf("the candidate is %q, want a relay address of the second daemon, with a port from 51000 to 51999", candidate)
				}
			})
		}
	}
}

func startBrowser(t *testing.T, lab *netlab.Lab) *browser.Browser {
	command := func(ctx context.Context, argv ...string) *exec.Cmd { return lab.Command(ctx, netlab.Left, argv...) }
	return browser.Start(t, browser.Options{Name: netlab.Left, Command: command})
}

// drain has a daemon drain, which a call on it keeps from ending, and returns once it redirects clients.
func drain(t *testing.T, lab *netlab.Lab, i *server.Icebox, at netip.AddrPort, login turn.Login) {
	t.Helper()
	connect := func() *turn.Client {
		c, err := lab.Host(netlab.Right).Dial(t.Context(), "udp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		client := turn.New(c, login)
		t.Cleanup(func() { client.Close() })
		return client
	}
	if _, err := connect().Allocate(); err != nil {
		t.Fatalf("allocate before the drain: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	command := lab.Command(ctx, netlab.VPS, server.Binary(t), "drain", "--within", "1h", "--config", i.Config)
	command.Env = server.Environment()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = command.Wait() // it was killed
	})
	next := connect()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); ; {
		err := next.SignIn()
		var refused *turn.Refused
		if errors.As(err, &refused) && refused.Code == 300 {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("an unsigned Allocate still gets 401, want 300")
		}
	}
}

// runWRTC gathers with @roamhq/wrtc.
func runWRTC(t *testing.T, lab *netlab.Lab, s iceServer) (candidate string) {
	t.Helper()
	args, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(server.Root(), "deploy", "e2e", "calls", "libwebrtc.mjs")
	out, err := lab.Command(t.Context(), netlab.Left, "node", script, gather, string(args)).CombinedOutput()
	if err != nil {
		t.Fatalf("node: %v: %s", err, out)
	}
	if err := json.Unmarshal(out, &candidate); err != nil {
		t.Fatalf("node printed %q", out)
	}
	return candidate
}
