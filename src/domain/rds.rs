//! What CloudWatch says of the instances of the database's RDS cluster.

use super::{Name, Series};

/// One look at all of them.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RdsLoad {
    pub cluster: Name,
    /// Bounds of Aurora Serverless v2 in ACUs.
    pub capacity: Option<(f64, f64)>,
    pub series: Vec<RdsSeries>,
}

/// One metric of one instance.
#[derive(Clone, PartialEq, Debug)]
pub struct RdsSeries {
    pub instance: Name,
    pub writer: bool,
    pub metric: RdsMetric,
    pub points: Series,
}

/// The metrics that are looked at, by CloudWatch's names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RdsMetric {
    /// Percent.
    CpuUtilization,
    /// Sessions that run or wait; above the number of CPUs they queue. Only with Performance Insights.
    DbLoad,
    /// Percent of the highest capacity; Serverless v2 only.
    AcuUtilization,
    /// ACUs; Serverless v2 only.
    ServerlessDatabaseCapacity,
    DatabaseConnections,
    /// Minutes of a whole CPU that a burstable instance may still use; `db.t` classes only.
    CpuCreditBalance,
}

impl RdsMetric {
    pub const ALL: [RdsMetric; 6] = [
        RdsMetric::CpuUtilization,
        RdsMetric::DbLoad,
        RdsMetric::AcuUtilization,
        RdsMetric::ServerlessDatabaseCapacity,
        RdsMetric::DatabaseConnections,
        RdsMetric::CpuCreditBalance,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            RdsMetric::CpuUtilization => "CPUUtilization",
            RdsMetric::DbLoad => "DBLoad",
            RdsMetric::AcuUtilization => "ACUUtilization",
            RdsMetric::ServerlessDatabaseCapacity => "ServerlessDatabaseCapacity",
            RdsMetric::DatabaseConnections => "DatabaseConnections",
            RdsMetric::CpuCreditBalance => "CPUCreditBalance",
        }
    }

    /// Whether an instance of this class publishes it: `db.serverless`, `db.t4g.medium`, `db.r6g.large`.
    pub fn is_of(self, class: &str) -> bool {
        match self {
            RdsMetric::AcuUtilization | RdsMetric::ServerlessDatabaseCapacity => class == "db.serverless",
            RdsMetric::CpuCreditBalance => class.starts_with("db.t"),
            RdsMetric::CpuUtilization | RdsMetric::DbLoad | RdsMetric::DatabaseConnections => true,
        }
    }

    /// The last value as a person reads it.
    pub fn says(self, value: f64) -> String {
        match self {
            RdsMetric::CpuUtilization | RdsMetric::AcuUtilization => format!("{value:.0} %"),
            RdsMetric::DbLoad => format!("{value:.1}"),
            RdsMetric::ServerlessDatabaseCapacity => format!("{value} ACUs"),
            RdsMetric::DatabaseConnections | RdsMetric::CpuCreditBalance => format!("{value:.0}"),
        }
    }
}

impl RdsLoad {
    /// The series of a metric on the writer, else on the first instance that has it.
    pub fn of_writer(&self, metric: RdsMetric) -> Option<&RdsSeries> {
        let mut found =
            self.series.iter().filter(|series| series.metric == metric && !series.points.is_empty());
        found.clone().find(|series| series.writer).or_else(|| found.next())
    }
}
