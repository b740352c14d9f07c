//! What an edit costs, proof included: `cargo bench --bench edit`. It compares nothing and fails for no number.

use std::time::Instant;
use tagrelay::model::place::Missing;
use tagrelay::relay::edit::{Files, apply, plan_values};

/// A values file of so many applications, about 330 bytes each.
fn values(n_apps: usize) -> String {
    let app = |n: usize| {
        format!(
            "app-{n}:\n  replicas: 3 # as before\n  image:\n    repository: registry.example.com/team/app-{n}\n    tag: \"1.{n}.0\" # moved by tagrelay\n    pullPolicy: IfNotPresent\n  env:\n    - {{ name: LOG, value: info }}\n    - name: REGION\n      value: 'eu-central-1'\n  resources: {{ limits: {{ cpu: 500m, memory: 256Mi }} }}\n"
        )
    };
    (0..n_apps).map(app).collect()
}

#[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
fn main() {
    for (name, n_apps, rounds) in [("3 KB", 9, 200), ("5 MB", 15_500, 3)] {
        let files: Files = [("values.yaml".to_owned(), values(n_apps))].into();
        let size = files["values.yaml"].len();
        let path = format!("app-{}.image.tag", n_apps / 2);
        let mut best = f64::MAX;
        for _ in 0..rounds {
            let begun = Instant::now();
            let plan = plan_values("values.yaml", None, &[(&path, "2.0.0")], Missing::Error, &files).expect("a plan");
            let changed = apply(&plan, &files).expect("an edit");
            best = best.min(begun.elapsed().as_secs_f64() * 1e3);
            assert!(changed["values.yaml"].contains("\"2.0.0\" # moved by tagrelay"));
        }
        println!("values file of {name} ({size} bytes): plan, splice and proof {best:.2} ms (best of {rounds})");
    }
}
