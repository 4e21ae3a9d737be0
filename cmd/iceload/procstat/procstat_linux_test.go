package procstat

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"
)

func thisProcess(t *testing.T) *Process {
	t.Helper()
	p, err := Open(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestUsageGrowsWithWork(t *testing.T) {
	p := thisProcess(t)
	before, err := p.Usage()
	if err != nil {
		t.Fatal(err)
	}
	hostBefore, err := ReadHost()
	if err != nil {
		t.Fatal(err)
	}
	const work = 60 * time.Millisecond // several ticks
	for deadline := time.Now().Add(10 * time.Second); ; {
		now, err := p.Usage()
		if err != nil {
			t.Fatal(err)
		}
		used := now.Sub(before)
		if used.CPU < 0 || used.User < 0 || used.System < 0 {
			t.Fatalf("used %+v", used)
		}
		if used.CPU >= work {
			// User and System are estimates, so their sum may differ from the total by several
			// ticks.
			if parts := used.User + used.System; (parts - used.CPU).Abs() > 5*tick {
				t.Errorf("used %v, but user %v and system %v", used.CPU, used.User, used.System)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("used only %v of CPU time after 10 s of work", used.CPU)
		}
	}
	host, err := ReadHost()
	if err != nil {
		t.Fatal(err)
	}
	if busy := host.Sub(hostBefore).Busy; busy < work/2 {
		t.Errorf("the host was busy for %v while this process was busy for %v", busy, work)
	}
}

func TestSwitchesAreCounted(t *testing.T) {
	p := thisProcess(t)
	before, err := p.Usage()
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		timer := time.NewTimer(100 * time.Microsecond)
		<-timer.C
	}
	after, err := p.Usage()
	if err != nil {
		t.Fatal(err)
	}
	if after.Switches <= before.Switches {
		t.Errorf("%d switches before, %d after", before.Switches, after.Switches)
	}
}

func TestResidentGrowsWithMemory(t *testing.T) {
	p := thisProcess(t)
	before, err := p.Resident()
	if err != nil {
		t.Fatal(err)
	}
	const size = 64 << 20
	b := make([]byte, size)
	for i := 0; i < size; i += 4096 {
		b[i] = 1
	}
	after, err := p.Resident()
	if err != nil {
		t.Fatal(err)
	}
	if after < before+size/2 || b[0] != 1 {
		t.Errorf("%d bytes resident before, %d after %d more were used", before, after, size)
	}
}

func TestDropsCountThisProcessOnly(t *testing.T) {
	p := thisProcess(t)
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	before, known, err := p.Drops()
	if err != nil || !known {
		t.Fatalf("Drops: known %v, error %v", known, err)
	}
	if err := c.SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1000)
	for range 100 {
		if _, err := c.WriteTo(b, c.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	after, _, err := p.Drops()
	if err != nil {
		t.Fatal(err)
	}
	if n := after - before; n < 50 || n > 100 {
		t.Errorf("%d of 100 packets of 1000 B were dropped although the receive buffer holds 4 KiB", n)
	}
}

func TestEndedProcessReportsErrGone(t *testing.T) {
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p, err := Open(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Usage(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Usage(); !errors.Is(err, ErrGone) {
		t.Errorf("Usage: %v, want ErrGone", err)
	}
	if _, err := p.Resident(); !errors.Is(err, ErrGone) {
		t.Errorf("Resident: %v, want ErrGone", err)
	}
	if _, err := Open(cmd.Process.Pid); !errors.Is(err, ErrGone) {
		t.Errorf("Open: %v, want ErrGone", err)
	}
}
