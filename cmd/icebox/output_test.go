package main

import (
	"bytes"
	"encoding/json"
	"log"
	"log/slog"
	"strings"
	"testing"

	"icebox/config"
)

// TestReportMissing: the report of missing lines has the format of the other lines.
func TestReportMissing(t *testing.T) {
	for _, format := range []config.LogFormat{config.Text, config.JSON} {
		var out bytes.Buffer
		reportMissing(format)(&out, 3)
		line := out.String()
		if n := strings.Count(line, "\n"); n != 1 || !strings.HasSuffix(line, "\n") {
			t.Errorf("%s: %q is not one line", format, line)
		}
		if json.Valid([]byte(line)) != (format == config.JSON) || !strings.Contains(line, "missing") || !strings.Contains(line, "3") {
			t.Errorf("%s: %s", format, line)
		}
	}
}

// TestPackageLogUsesTheDaemonsLog: libraries that use the standard library's package log write to the daemon's log.
func TestPackageLogUsesTheDaemonsLog(t *testing.T) {
	before, writer, flags := slog.Default(), log.Writer(), log.Flags()
	defer func() {
		slog.SetDefault(before)
		log.SetOutput(writer)
		log.SetFlags(flags)
	}()
	var out bytes.Buffer
	p := &program{stderr: &out}
	p.daemonLogger(config.Log{Level: "info", Format: config.JSON}, new(slog.LevelVar))
	log.Print("from a library")
	if line := out.String(); !json.Valid([]byte(line)) || !strings.Contains(line, "from a library") {
		t.Errorf("the log has %q", line)
	}
}
