//! The report as JUnit's XML, which build servers show.

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use crate::{Check, Outcome, Report};

impl Report {
    /// The report as JUnit's XML: one suite, a case a check, latencies as properties of the suite.
    pub fn to_junit(&self) -> String {
        let name = self.interface.as_deref().unwrap_or("no plugin");
        let mut suite = TestSuite::new(name);
        suite.add_test_cases(self.checks.iter().map(case));
        if let Some(sha256) = &self.sha256 {
            suite.add_property(("sha256", sha256.as_str()));
        }
        if let Some(latency) = &self.latency {
            for (name, nanoseconds) in latency.figures() {
                suite.add_property((name, nanoseconds.to_string().as_str()));
            }
        }
        let mut report = quick_junit::Report::new("servos-conformance-kit");
        report.add_test_suite(suite);
        report.to_string().expect("XML that is written to memory")
    }
}

fn case(check: &Check) -> TestCase {
    let status = match check.outcome {
        Outcome::Passed | Outcome::Warned => TestCaseStatus::success(),
        Outcome::Failed => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(check.detail.as_str()).set_type(check.name.name());
            status
        }
        Outcome::Skipped => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(check.detail.as_str());
            status
        }
    };
    let mut case = TestCase::new(check.name.name(), status);
    case.set_classname("servos-conformance-kit").set_system_out(format!("{}: {}", check.outcome, check.detail));
    case
}
