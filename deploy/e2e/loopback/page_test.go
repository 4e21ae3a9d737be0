package loopback

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"icebox/deploy/e2e/server"
)

// clientsPage returns the scripts of deploy/clients.md, and those settings that are icebox's. It
// replaces /etc/icebox by etc.
func clientsPage(t *testing.T, etc string) (scripts, settings []string) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(server.Root(), "deploy", "clients.md"))
	if err != nil {
		t.Fatal(err)
	}
	ours := regexp.MustCompile(`^(credentials|signal|turn|http):\n`)
	for _, block := range regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$").FindAllStringSubmatch(string(page), -1) {
		text := strings.ReplaceAll(block[2], "/etc/icebox/", etc+"/")
		switch {
		case block[1] == "sh":
			scripts = append(scripts, text)
		case block[1] == "yaml" && ours.MatchString(text) && !strings.Contains(text, "SECRET"):
			settings = append(settings, text)
		}
	}
	return scripts, settings
}

// TestClientsPage follows deploy/clients.md. icebox must accept the settings, with the secret that
// the first script creates, and a client must be able to relay with the credential that the second
// script computes.
func TestClientsPage(t *testing.T) {
	t.Parallel()
	etc := t.TempDir()
	scripts, settings := clientsPage(t, etc)
	shared := slices.IndexFunc(settings, func(s string) bool { return strings.HasPrefix(s, "credentials:") })
	if len(scripts) != 2 || len(settings) < 3 || shared < 0 {
		t.Fatalf("deploy/clients.md has %d scripts and %d settings, want 2 and at least 3, one of them credentials", len(scripts), len(settings))
	}
	// This host has no group icebox.
	if out, err := exec.Command("bash", "-euc", strings.Replace(scripts[0], "chgrp icebox", "true", 1)).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", scripts[0], err, out)
	}
	for _, name := range []string{"app.key", "web.key"} {
		if err := os.WriteFile(filepath.Join(etc, name), []byte("a key of sixteen or more\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i, text := range settings {
		file := filepath.Join(etc, fmt.Sprintf("%d.yaml", i))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		check := exec.Command(server.Binary(t), "check", "--config", file)
		check.Env = server.Environment()
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("icebox check: %v: %s\n%s", err, out, text)
		}
	}

	port := server.FreePort(t)
	server.StartIcebox(t, server.IceboxOptions{Config: settings[shared] + fmt.Sprintf(`
turn: {listen: [{address: "127.0.0.1:%d"}], relay_ports: 61000-65535, peers: [{allow: 127.0.0.0/8}]}
http: {listen: []}`, port)})
	out, err := exec.Command("bash", "-euc", scripts[1]).Output()
	username, password, ok := strings.Cut(strings.TrimSpace(string(out)), " ")
	if err != nil || !ok {
		t.Fatalf("the script that computes a credential: %v: %s", err, out)
	}
	uclient(t, 5, join(echo(t), []string{"-X", "-n", "5", "-u", username, "-w", password, "-p", strconv.Itoa(port), "127.0.0.1"})...)
}
