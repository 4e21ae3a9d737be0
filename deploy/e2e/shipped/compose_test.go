package shipped

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"icebox/deploy/e2e/server"
)

// TestCompose reads docker-compose.yml strictly: what it says has to be what the image needs.
func TestCompose(t *testing.T) {
	var file struct {
		Services map[string]struct {
			Build struct {
				Context, Dockerfile string
			}
			Image           string
			NetworkMode     string `yaml:"network_mode"`
			Environment     map[string]string
			Volumes         []string
			ReadOnly        bool     `yaml:"read_only"`
			CapDrop         []string `yaml:"cap_drop"`
			SecurityOpt     []string `yaml:"security_opt"`
			Ulimits         map[string]int
			Restart         string
			StopGracePeriod string `yaml:"stop_grace_period"`
		}
		Volumes map[string]any
	}
	d := yaml.NewDecoder(strings.NewReader(string(ship(t, "docker-compose.yml"))))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil {
		t.Fatal(err)
	}
	s, ok := file.Services["icebox"]
	if !ok || len(file.Services) != 1 {
		t.Fatalf("services: %v, want icebox alone", file.Services)
	}
	if s.NetworkMode != "host" || !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) {
		t.Errorf("network_mode %s, read_only %t, cap_drop %v", s.NetworkMode, s.ReadOnly, s.CapDrop)
	}
	if _, err := os.Stat(filepath.Join(server.Root(), s.Build.Context, s.Build.Dockerfile)); err != nil {
		t.Errorf("what it builds from: %v", err)
	}
	for _, v := range s.Volumes {
		name, path, _ := strings.Cut(v, ":")
		if _, ok := file.Volumes[name]; !ok {
			t.Errorf("the volume %s is not declared", name)
		}
		if !strings.Contains(string(ship(t, "deploy", "Dockerfile")), "VOLUME "+path+"\n") {
			t.Errorf("the image has no volume at %s", path)
		}
	}
	for variable := range s.Environment {
		if !strings.HasPrefix(variable, "ICEBOX_") {
			t.Errorf("%s is no setting of icebox", variable)
		}
	}
}
