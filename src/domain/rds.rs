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
}

impl RdsMetric {
    pub const ALL: [RdsMetric; 5] = [
        RdsMetric::CpuUtilization,
        RdsMetric::DbLoad,
        RdsMetric::AcuUtilization,
        RdsMetric::ServerlessDatabaseCapacity,
        RdsMetric::DatabaseConnections,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            RdsMetric::CpuUtilization => "CPUUtilization",
            RdsMetric::DbLoad => "DBLoad",
            RdsMetric::AcuUtilization => "ACUUtilization",
            RdsMetric::ServerlessDatabaseCapacity => "ServerlessDatabaseCapacity",
            RdsMetric::DatabaseConnections => "DatabaseConnections",
        }
    }

    pub fn is_serverless(self) -> bool {
        matches!(self, RdsMetric::AcuUtilization | RdsMetric::ServerlessDatabaseCapacity)
    }

    /// The last value as a person reads it.
    pub fn says(self, value: f64) -> String {
        match self {
            RdsMetric::CpuUtilization | RdsMetric::AcuUtilization => format!("{value:.0} %"),
            RdsMetric::DbLoad => format!("{value:.1}"),
            RdsMetric::ServerlessDatabaseCapacity => format!("{value} ACUs"),
            RdsMetric::DatabaseConnections => format!("{value:.0}"),
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
