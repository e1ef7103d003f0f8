use std::path::{Path, PathBuf};

use super::*;
use crate::host::machine::kernel::Said;

const LOW: &str = "212992";
const NEEDED: &str = "4194304";

/// A kernel with these values, in the order of the keys, and what others' files say.
fn kernel(values: [&str; 3], said: &[(KernelKey, &str, bool)]) -> Kernel {
    let said = said.iter().map(|(key, value, is_after_ours)| Said {
        path: PathBuf::from("/etc/sysctl.d/other.conf"),
        is_after_ours: *is_after_ours,
        key: *key,
        value: (*value).to_owned(),
    });
    Kernel {
        values: KernelKey::ALL.into_iter().zip(values.map(str::to_owned)).collect(),
        said: said.collect(),
        file: None,
        has_folder: true,
    }
}

/// What is set for this port, each as before and after, and what our file says.
fn told(change: &KernelPlan) -> (Vec<[&str; 2]>, Vec<&str>) {
    let settings = change.settings.iter().map(|it| [it.before.as_str(), it.after.as_str()]);
    (settings.collect(), change.lines.values().map(String::as_str).collect())
}

/// The kernel once that is done.
fn after(mut kernel: Kernel, change: &KernelPlan) -> Kernel {
    for setting in &change.settings {
        kernel.values.insert(setting.key, setting.after.clone());
    }
    kernel.file = (!change.lines.is_empty()).then(|| change.text());
    kernel
}

#[test]
fn a_port_is_added_to_the_list_and_limits_are_raised() {
    let kernel =
        kernel(["8080,60000-60010", LOW, LOW], &[(KernelKey::ReservedPorts, "8080", false)]);

    let change = KernelPlan::draft(&kernel, Some(55_000), &KernelChanges::default());

    let ports = ["8080,60000-60010", "8080,55000,60000-60010"];
    assert_eq!(
        told(&change),
        (vec![ports, [LOW, NEEDED], [LOW, NEEDED]], vec!["8080,55000", NEEDED, NEEDED])
    );
    assert_eq!(
        change.text(),
        format!(
            "{HEAD}net.ipv4.ip_local_reserved_ports = 8080,55000\nnet.core.rmem_max = 4194304\n\
             net.core.wmem_max = 4194304\n"
        )
    );
}

#[test]
fn what_is_enough_already_stays_and_is_not_ours() {
    let enough = kernel(
        ["54000-56000", "8388608", NEEDED],
        &[(KernelKey::ReservedPorts, "54000-56000", false)],
    );

    let change = KernelPlan::draft(&enough, Some(55_000), &KernelChanges::default());

    assert_eq!(change, KernelPlan::default());
    let none =
        KernelPlan::draft(&enough, None, &KernelChanges { port: None, raised: BTreeMap::new() });
    assert_eq!(none, KernelPlan::default());
}

#[test]
fn what_is_set_for_the_present_alone_is_written_down_and_what_is_written_down_is_set() {
    let present = kernel(["55000", NEEDED, NEEDED], &[]);
    let written = kernel(
        ["", LOW, LOW],
        &[
            (KernelKey::ReservedPorts, "55000", false),
            (KernelKey::ReceiveBuffer, "8388608", false),
            (KernelKey::SendBuffer, "1", false),
        ],
    );

    assert_eq!(
        told(&KernelPlan::draft(&present, Some(55_000), &KernelChanges::default())),
        (vec![], vec!["55000"])
    );
    assert_eq!(
        told(&KernelPlan::draft(&written, Some(55_000), &KernelChanges::default())),
        (vec![["", "55000"], [LOW, NEEDED], [LOW, NEEDED]], vec![NEEDED])
    );
}

#[test]
fn a_second_installation_changes_nothing_and_a_removal_takes_exactly_ours_back() {
    let before = kernel(["8080,54998-54999", LOW, "8388608"], &[]);
    let first = KernelPlan::draft(&before, Some(55_000), &KernelChanges::default());
    let mut done = after(before.clone(), &first);
    // As the kernel tells it.
    assert_eq!(done.values[&KernelKey::ReservedPorts], "8080,54998-55000");

    let again = KernelPlan::draft(&done, Some(55_000), &first.ours);

    assert_eq!(told(&again), (vec![], vec!["55000", NEEDED]));
    assert_eq!(again.ours, first.ours);
    // Another program has reserved a port of its own meanwhile, and raised a limit.
    done.values.insert(KernelKey::ReservedPorts, "8080,9000,54998-55000".to_owned());
    done.values.insert(KernelKey::SendBuffer, "9000000".to_owned());
    let removal = KernelPlan::draft(&done, None, &again.ours);
    assert_eq!(
        told(&removal),
        (vec![["8080,9000,54998-55000", "8080,9000,54998-54999"], [NEEDED, LOW]], vec![])
    );
    assert_eq!(removal.ours, KernelChanges::default());
}

#[test]
fn what_others_have_come_to_set_or_need_stays() {
    let before = kernel(["", LOW, LOW], &[]);
    let first = KernelPlan::draft(&before, Some(55_000), &KernelChanges::default());
    let mut done = after(before, &first);
    done.said = kernel(["", "", ""], &[(KernelKey::ReservedPorts, "55000", true)]).said;
    done.values.insert(KernelKey::ReceiveBuffer, "16777216".to_owned());

    let removal = KernelPlan::draft(&done, None, &first.ours);

    assert_eq!(told(&removal), (vec![[NEEDED, LOW]], vec![]));
}

#[test]
fn another_port_takes_the_place_of_the_first() {
    let before = kernel(["", NEEDED, NEEDED], &[]);
    let first = KernelPlan::draft(&before, Some(55_000), &KernelChanges::default());
    let done = after(before, &first);

    let other = KernelPlan::draft(&done, Some(55_001), &first.ours);

    assert_eq!(told(&other), (vec![["55000", "55001"]], vec!["55001"]));
}

#[test]
fn where_the_machine_lacks_a_setting_or_the_folder_nothing_is_done_about_it() {
    let mut kernel = kernel(["", LOW, LOW], &[]);
    kernel.values.retain(|key, _| *key == KernelKey::ReservedPorts);
    kernel.has_folder = false;
    let change = KernelPlan::draft(&kernel, Some(55_000), &KernelChanges::default());
    assert_eq!(told(&change), (vec![["", "55000"]], vec!["55000"]));

    let mut ours = KernelChanges::default();
    let steps = change.steps(&kernel, &Paths::under("/"), &mut ours);

    let names: Vec<_> = steps.iter().map(Step::name).collect();
    assert_eq!(names, ["set kernel parameters"]);
    assert_eq!(steps[0].changes(), "`net.ipv4.ip_local_reserved_ports` to `55000` (was empty)");
    assert_eq!(ours.port, Some(55_000));
}

#[test]
fn the_file_is_written_for_everybody_to_read_and_removed() {
    let mut kernel = kernel(["", LOW, LOW], &[]);
    let paths = Paths::under("/");
    let path = Path::new("/etc/sysctl.d/60-pcoip-cmsg.conf");
    let mut ours = KernelChanges::default();
    let draft = |kernel: &Kernel, port, ours: &KernelChanges| KernelPlan::draft(kernel, port, ours);

    let steps = draft(&kernel, Some(55_000), &ours).steps(&kernel, &paths, &mut ours);

    let [
        Step::Write(Write { path: written, content, replaces: false }),
        Step::HandOver(HandOver(changes)),
        _,
    ] = &steps[..]
    else {
        panic!("{steps:#?}")
    };
    assert_eq!((written.as_path(), changes[0].path.as_path()), (path, path));
    assert_eq!(changes[0].access, Access { owner: Owner::Root, mode: 0o644 });
    kernel.file = Some(content.text());
    for key in KernelKey::ALL {
        kernel
            .values
            .insert(key, if key == KernelKey::ReservedPorts { "55000" } else { NEEDED }.to_owned());
    }
    assert_eq!(draft(&kernel, Some(55_000), &ours).steps(&kernel, &paths, &mut ours), []);
    let steps = draft(&kernel, None, &ours).steps(&kernel, &paths, &mut ours);
    assert_eq!(steps[0], Step::Remove(Remove(path.to_owned())));
    assert_eq!(ours, KernelChanges::default());
}
