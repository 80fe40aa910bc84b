//! Limits read from fixture trees: every hierarchy that containers show, without being in one.

use super::*;

const MIB: u64 = 1024 * 1024;

/// A tree of files below a temporary directory, removed when dropped.
struct Fixture(PathBuf);

impl Fixture {
    fn new(name: &str, mountinfo: &str, cgroup: &str) -> Fixture {
        let root =
            std::env::temp_dir().join(format!("heapdump-memory-{}-{name}", std::process::id()));
        let fixture = Fixture(root);
        fixture
            .file("proc/self/mountinfo", mountinfo)
            .file("proc/self/cgroup", cgroup)
            .file("proc/self/status", "VmSize:\t 2048 kB\nVmData:\t 1024 kB\nRssAnon:\t 512 kB\n")
            .file("proc/self/limits", "Max data size   unlimited  unlimited  bytes\n")
            .file("proc/meminfo", "MemTotal: 9999999 kB\nMemAvailable: 4194304 kB\n");
        fixture
    }

    fn file(&self, path: &str, text: &str) -> &Fixture {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().expect("a directory")).expect("fixture directory");
        fs::write(path, text).expect("fixture file");
        self
    }

    fn headroom(&self) -> Headroom {
        MemorySources::find(&self.0).headroom().expect("a headroom")
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const V2_MOUNT: &str = "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
const V1_MOUNT: &str = "33 25 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";

#[test]
fn without_control_groups_the_machine_is_the_bound() {
    let headroom = Fixture::new("none", "", "").headroom();
    assert_eq!((headroom.available, headroom.bound), (4096 * MIB, Bound::Machine));
    assert_eq!((headroom.anonymous, headroom.oom_group), (512 * 1024, false));
}

#[test]
fn v2_counts_inactive_file_pages_as_free() {
    let fixture = Fixture::new("v2", V2_MOUNT, "0::/app\n");
    fixture
        .file("sys/fs/cgroup/app/memory.max", &(512 * MIB).to_string())
        .file("sys/fs/cgroup/app/memory.current", &(400 * MIB).to_string())
        .file("sys/fs/cgroup/app/memory.stat", &format!("anon 1\ninactive_file {}\n", 100 * MIB));
    assert_eq!(
        (fixture.headroom().available, fixture.headroom().bound),
        (212 * MIB, Bound::Cgroup)
    );
}

#[test]
fn v2_takes_the_nearest_limit_on_the_way_up() {
    let fixture = Fixture::new("v2-nested", V2_MOUNT, "0::/pod/app\n");
    fixture
        .file("sys/fs/cgroup/pod/app/memory.max", "max")
        .file("sys/fs/cgroup/pod/app/memory.current", "1")
        .file("sys/fs/cgroup/pod/memory.max", &(300 * MIB).to_string())
        .file("sys/fs/cgroup/pod/memory.current", &(100 * MIB).to_string());
    assert_eq!(fixture.headroom().available, 200 * MIB);
}

#[test]
fn v2_reads_oom_group_and_memory_high() {
    let fixture = Fixture::new("v2-group", V2_MOUNT, "0::/app\n");
    fixture
        .file("sys/fs/cgroup/app/memory.max", &(512 * MIB).to_string())
        .file("sys/fs/cgroup/app/memory.high", &(256 * MIB).to_string())
        .file("sys/fs/cgroup/app/memory.current", &(56 * MIB).to_string())
        .file("sys/fs/cgroup/app/memory.oom.group", "1\n");
    let headroom = fixture.headroom();
    assert_eq!((headroom.available, headroom.oom_group), (200 * MIB, true));
}

#[test]
fn a_container_without_a_namespace_uses_what_the_mount_shows() {
    let mount = "30 24 0:26 /kubepods/pod1 /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n";
    let fixture = Fixture::new("v2-host-path", mount, "0::/kubepods/pod1\n");
    fixture
        .file("sys/fs/cgroup/memory.max", &(64 * MIB).to_string())
        .file("sys/fs/cgroup/memory.current", &(60 * MIB).to_string());
    assert_eq!(fixture.headroom().available, 4 * MIB);
}

#[test]
fn v1_reads_limit_and_usage() {
    let fixture = Fixture::new("v1", V1_MOUNT, "9:cpu,memory:/docker/x\n");
    fixture
        .file("sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", &(256 * MIB).to_string())
        .file("sys/fs/cgroup/memory/docker/x/memory.usage_in_bytes", &(200 * MIB).to_string())
        .file(
            "sys/fs/cgroup/memory/docker/x/memory.stat",
            &format!("total_inactive_file {}\n", 50 * MIB),
        )
        .file(
            "sys/fs/cgroup/memory/docker/x/memory.oom_control",
            "oom_kill_disable 0\noom_kill 3\n",
        );
    assert_eq!(fixture.headroom().available, 106 * MIB);
    assert_eq!(MemorySources::find(&fixture.0).oom_kills(), 3);
}

#[test]
fn resource_limits_count() {
    let fixture = Fixture::new("rlimit", "", "");
    fixture.file("proc/self/limits", "Max data size             3145728    unlimited    bytes\n");
    assert_eq!(
        (fixture.headroom().available, fixture.headroom().bound),
        (2 * MIB, Bound::DataSegment)
    );
}

#[test]
fn the_group_that_is_nearest_to_its_limit_is_the_one_that_counts() {
    let fixture = Fixture::new("use", V2_MOUNT, "0::/slice/app\n");
    fixture
        .file("sys/fs/cgroup/slice/app/memory.max", &(512 * MIB).to_string())
        .file("sys/fs/cgroup/slice/app/memory.current", &(300 * MIB).to_string())
        .file("sys/fs/cgroup/slice/app/memory.stat", &format!("inactive_file {}\n", 100 * MIB))
        .file("sys/fs/cgroup/slice/memory.max", &(1000 * MIB).to_string())
        .file("sys/fs/cgroup/slice/memory.current", &(900 * MIB).to_string());
    let group = MemorySources::find(&fixture.0).group_use();
    assert_eq!(group, Some(GroupUse { used: 900 * MIB, limit: 1000 * MIB }));
}

#[test]
fn without_a_limit_there_is_no_use_of_it() {
    let fixture = Fixture::new("use-v1", V1_MOUNT, "4:memory:/\n");
    fixture
        .file("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712")
        .file("sys/fs/cgroup/memory/memory.usage_in_bytes", &MIB.to_string());
    assert_eq!(MemorySources::find(&fixture.0).group_use(), None);
}

#[test]
fn this_process_is_resident() {
    assert!(resident().is_some_and(|bytes| bytes > MIB / 4));
}

#[test]
fn gauges_say_the_same_of_version_2_as_often_as_they_are_asked() {
    use super::super::gauges::Gauges;
    let fixture = Fixture::new("gauges", V2_MOUNT, "0::/pod/app\n");
    fixture
        .file("sys/fs/cgroup/pod/app/memory.max", "max\n")
        .file("sys/fs/cgroup/pod/app/memory.current", "1")
        .file("sys/fs/cgroup/pod/app/memory.stat", "inactive_file 0\n")
        .file("sys/fs/cgroup/pod/memory.max", &format!("{}\n", 512 * MIB))
        .file("sys/fs/cgroup/pod/memory.high", &format!("{}\n", 500 * MIB))
        .file("sys/fs/cgroup/pod/memory.current", &format!("{}\n", 300 * MIB))
        .file("sys/fs/cgroup/pod/memory.stat", &format!("inactive_file {}\n", 100 * MIB));
    let sources = MemorySources::find(&fixture.0);
    let gauges = Gauges::of(&sources);
    let use_of = |used| Some(GroupUse { used: used * MIB, limit: 500 * MIB });
    assert_eq!(gauges.group_use_with_cache(), use_of(300));
    assert_eq!(gauges.group_use(), use_of(200));
    assert_eq!(gauges.group_use(), sources.group_use());
    fixture.file("sys/fs/cgroup/pod/memory.current", &format!("{}\n", 450 * MIB));
    assert_eq!(gauges.group_use_with_cache(), use_of(450));
    assert_eq!(gauges.group_use(), use_of(350));
    assert!(gauges.resident().is_some_and(|bytes| bytes > MIB));
}
