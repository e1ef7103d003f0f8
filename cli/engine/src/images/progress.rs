//! Progress of a pull, which the engine reports for each layer.

use std::collections::BTreeMap;

use bollard::models::CreateImageInfo;

/// Maximum number of layers that are counted.
const MOST: usize = 256;

/// The layers of which the engine has reported progress.
#[derive(Default)]
pub(super) struct Progress {
    /// Received and total bytes.
    layers: BTreeMap<String, (u64, u64)>,
}

impl Progress {
    /// Processes a message of the engine.
    pub(super) fn note(&mut self, said: CreateImageInfo) {
        let Some(id) = said.id else { return };
        let known = self.layers.contains_key(&id);
        let count = |bytes: Option<i64>| bytes.and_then(|bytes| u64::try_from(bytes).ok());
        match said.status.as_deref() {
            Some("Downloading") if known || self.layers.len() < MOST => {
                let Some(progress) = said.progress_detail else { return };
                let current = count(progress.current).unwrap_or(0);
                let total = count(progress.total).unwrap_or(0).max(current);
                self.layers.insert(id, (current, total));
            }
            Some("Download complete" | "Pull complete") => {
                if let Some((current, total)) = self.layers.get_mut(&id) {
                    *current = *total;
                }
            }
            _ => {}
        }
    }

    /// Received and total bytes, as far as the engine knows them.
    pub(super) fn sum(&self) -> (u64, u64) {
        self.layers.values().fold((0, 0), |(there, all), (current, total)| {
            (there.saturating_add(*current), all.saturating_add(*total))
        })
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::ProgressDetail;

    use super::*;

    fn said(id: &str, status: &str, progress: Option<(i64, i64)>) -> CreateImageInfo {
        CreateImageInfo {
            id: Some(id.to_owned()),
            status: Some(status.to_owned()),
            progress_detail: progress.map(|(current, total)| ProgressDetail {
                current: Some(current),
                total: Some(total),
            }),
            ..CreateImageInfo::default()
        }
    }

    #[test]
    fn the_progress_is_the_sum_of_all_layers() {
        let mut progress = Progress::default();
        for (id, status, detail, sum) in [
            ("1.0", "Pulling from pcoip-cm", None, (0, 0)),
            ("a", "Downloading", Some((10, 100)), (10, 100)),
            ("b", "Downloading", Some((5, 50)), (15, 150)),
            ("a", "Downloading", Some((60, 100)), (65, 150)),
            ("a", "Download complete", None, (105, 150)),
            // Extracting reports the same bytes again.
            ("a", "Extracting", Some((1, 100)), (105, 150)),
            ("b", "Downloading", Some((-5, i64::MIN)), (100, 100)),
            (
                "b",
                "Downloading",
                Some((i64::MAX, 0)),
                (i64::MAX as u64 + 100, i64::MAX as u64 + 100),
            ),
        ] {
            progress.note(said(id, status, detail));
            assert_eq!(progress.sum(), sum, "{id} {status}");
        }
        progress.note(CreateImageInfo::default());
    }

    #[test]
    fn the_number_of_layers_is_bounded() {
        let mut progress = Progress::default();
        (0..1000).for_each(|id| progress.note(said(&id.to_string(), "Downloading", Some((1, 1)))));
        assert_eq!(progress.sum(), (MOST as u64, MOST as u64));
    }
}
