//! The sets: routes, and requests that find each of them.
//!
//! GitHub's API is a file in the repository. The others are resources of a large service, five routes each, three of
//! them with parameters: `/api/v{0-3}/svc{0-49}/res{i}`, and below that `search`, `:id`, `:id/items`, `:id/items/:item`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::super::stats::Random;

/// So many requests at least are asked in one pass; small sets repeat, in a new order each time.
const LEAST_REQUESTS: usize = 20_000;
/// The numbers of routes of the synthetic sets, and their names.
const SIZES: [(usize, &str); 4] = [(100, "100"), (1_000, "1,000"), (10_000, "10,000"), (100_000, "100,000")];
/// What parameters of GitHub's API are given.
const VALUES: [&str; 4] = ["octocat", "hello-world", "6dcb09b5b57875f334f61aebed695e2e4193db5e", "1347"];

/// Routes, and one request for each.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) name: &'static str,
    routes: Vec<String>,
    requests: Vec<String>,
}

/// All sets, the smallest tables first.
pub(super) fn all(root: &Path) -> Result<Vec<Set>> {
    let path = root.join("bench/routes/github.txt");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let routes = text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    let github = Set::new("GitHub", routes, |route, param| VALUES[(route + param) % VALUES.len()].to_owned());
    let synthetic = SIZES.map(|(size, name)| {
        Set::new(name, synthetic(size), |route, param| ((route * 7_919 + param * 13) % 100_000).to_string())
    });
    Ok(std::iter::once(github).chain(synthetic).collect())
}

fn synthetic(size: usize) -> Vec<String> {
    let resource = |at: usize| format!("GET /api/v{}/svc{}/res{at}", at % 4, at / 4 % 50);
    let below = ["", "/search", "/:id", "/:id/items", "/:id/items/:item"];
    (0..size / below.len()).flat_map(|at| below.map(|below| resource(at) + below)).collect()
}

impl Set {
    /// Requests have what `value` says in the place of a route's parameters.
    fn new(name: &'static str, routes: Vec<String>, value: impl Fn(usize, usize) -> String) -> Self {
        let request = |(number, route): (usize, &String)| {
            let mut param = 0;
            let mut text = String::new();
            for part in route.split('/') {
                if part.starts_with(':') {
                    text += &value(number, param);
                    param += 1;
                } else {
                    text += part;
                }
                text.push('/');
            }
            text.pop();
            format!("{text} {number}")
        };
        let requests = routes.iter().enumerate().map(request).collect();
        Self { name, routes, requests }
    }

    /// The file of routes and that of requests.
    pub(super) fn files(&self, folder: &Path) -> [PathBuf; 2] {
        let plain = self.name.replace(',', "");
        [folder.join(format!("{plain}.routes")), folder.join(format!("{plain}.requests"))]
    }

    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let [routes, requests] = self.files(folder);
        std::fs::write(routes, self.routes.join("\n") + "\n")?;
        let mut text = String::new();
        for at in self.order() {
            let _ = writeln!(text, "{}", self.requests[at]);
        }
        std::fs::write(requests, text).context("cannot write the requests")
    }

    /// All requests, shuffled, as often as it takes.
    fn order(&self) -> Vec<usize> {
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        let mut order = Vec::new();
        while order.len() < LEAST_REQUESTS {
            let mut turn: Vec<_> = (0..self.requests.len()).collect();
            random.shuffle(&mut turn);
            order.append(&mut turn);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sets_are_as_large_as_they_say_and_have_no_route_twice() {
        for (size, _) in SIZES {
            let mut routes = synthetic(size);
            routes.sort();
            routes.dedup();
            assert_eq!(routes.len(), size);
        }
    }

    #[test]
    fn requests_have_values_for_parameters() {
        let set = Set::new("x", vec!["GET /a/:b/c/:d".to_owned()], |route, param| format!("{route}{param}"));
        assert_eq!(set.requests, ["GET /a/00/c/01 0"]);
    }

    #[test]
    fn every_request_is_asked_equally_often() {
        let set = Set::new("x", synthetic(100), |_, _| "1".to_owned());
        let order = set.order();
        assert!(order.len() >= LEAST_REQUESTS);
        let times = |wanted: usize| order.iter().filter(|at| **at == wanted).count();
        assert!((0..100).all(|at| times(at) == order.len() / 100));
    }
}
