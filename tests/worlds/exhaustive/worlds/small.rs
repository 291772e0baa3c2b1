//! The configurations for each run of the tests.

use super::{
    ALONE, ALSO, COMPOSITE, Configuration, NONE, PATIENT, SET_1, SET_1_OF_3, SET_2, SET_2_OF_3,
    THERE, client, configuration, execute, late_client, of, outside, patient,
};
use crate::exhaustive::state::{Budget, Setup, TransactionDriver};

pub fn small() -> Vec<Configuration> {
    let mut worlds = outside::small();
    worlds.extend([
        configuration(
            "nothing goes wrong",
            of(2, vec![client(THERE)], NONE),
            (40, 74),
            &["committed", "driver reports committed"],
        ),
        configuration(
            "a bank dies",
            of(2, vec![client(THERE)], Budget { crashes: 1, ticks: 1, ..NONE }),
            (17390, 55100),
            &[
                "crash that lost records",
                "commit learned from a peer",
                "abort learned from a peer",
                "tombstone by RESOLVE",
                "late PREPARE refused",
                "driver reports doubt",
            ],
        ),
        configuration(
            "a driver leaves and a connection breaks",
            of(2, vec![client(THERE)], Budget { gone: 1, cuts: 1, ..NONE }),
            (4612, 13830),
            &[
                "commit learned from a peer",
                "tombstone by RESOLVE",
                "tombstone by ABORT",
                "late PREPARE refused",
            ],
        ),
        configuration(
            "a lie to a client's banks",
            of(2, vec![client(THERE)], Budget { lies: 1, ticks: 1, ..NONE }),
            (19208, 71378),
            &[
                "duplicate-id",
                "aborted for other bytes under its id",
                "tombstone by ABORT",
                "DOUBT",
            ],
        ),
        configuration(
            "a lie that one bank alone can commit",
            of(2, vec![(THERE, ALONE, TransactionDriver::Client)], Budget { lies: 1, ..NONE }),
            (1577, 4620),
            &["duplicate-id", "executed", "aborted for other bytes under its id"],
        ),
        configuration(
            "two lies to a bank that drives",
            of(2, vec![execute(0, THERE)], Budget { lies: 2, ..NONE }),
            (12141, 46050),
            &["duplicate-id", "executed", "aborted for other bytes under its id", "expired"],
        ),
        configuration(
            "a lie before a client begins",
            of(2, vec![late_client(THERE)], Budget { lies: 1, ..NONE }),
            (2060, 5944),
            &[
                "tombstone by ABORT",
                "tombstone by RESOLVE",
                "late PREPARE refused",
                "driver reports aborted",
            ],
        ),
        configuration(
            "a bank that drives dies",
            of(2, vec![execute(0, THERE)], Budget { crashes: 1, ticks: 1, ..NONE }),
            (1976, 5069),
            &[
                "executed",
                "DOUBT",
                "unreachable",
                "crash that lost records",
                "tombstone by RESOLVE",
            ],
        ),
        configuration(
            "a bank that drives dies and memory forgets",
            Setup {
                forgetful: true,
                ..of(2, vec![execute(0, THERE)], Budget { crashes: 1, cuts: 1, ..NONE })
            },
            (2669, 7094),
            &["executed", "crash that lost records"],
        ),
        configuration(
            "a driver is impatient",
            of(2, vec![client(THERE)], Budget { time_outs: 1, ..NONE }),
            (4470, 14515),
            &["late PREPARE refused", "driver reports aborted"],
        ),
        configuration(
            "a transaction has patience",
            patient(of(2, vec![client(PATIENT)], Budget { gone: 1, ticks: 2, ..NONE })),
            (1007, 3474),
            &["patience over", "commit learned from a peer", "tombstone by RESOLVE"],
        ),
        configuration(
            "a lie ends patience",
            patient(of(2, vec![client(PATIENT)], Budget { lies: 1, ..NONE })),
            (2000, 5826),
            &["asked", "tombstone by ABORT", "tombstone by RESOLVE"],
        ),
        configuration(
            "cuts",
            of(2, vec![client(THERE)], Budget { snapshots: 2, ..NONE }),
            (759, 2027),
            &["whole cut", "cut waits", "cut with a transfer", "clock moved", "cut served again"],
        ),
        configuration(
            "a cut and a bank dies",
            of(2, vec![late_client(THERE)], Budget { snapshots: 1, crashes: 1, ..NONE }),
            (10047, 27877),
            &["cut served", "clock moved", "crash that lost records", "committed"],
        ),
        configuration(
            "cuts while two banks drive",
            of(2, vec![execute(0, THERE), execute(1, ALSO)], Budget { snapshots: 2, ..NONE }),
            (10673, 34159),
            &["whole cut", "cut waits", "insufficient-funds"],
        ),
        configuration(
            "a disk is lost",
            of(2, vec![client(THERE)], Budget { restores: 1, ..NONE }),
            (591, 1400),
            &["promise forgotten", "outcome forgotten", "stopped itself"],
        ),
        configuration(
            "the disk of a bank that drives is lost",
            of(2, vec![execute(0, THERE)], Budget { restores: 1, ..NONE }),
            (119, 237),
            &["promise forgotten", "stopped itself"],
        ),
        configuration(
            "a disk is lost and its bank votes again, its first events",
            Setup {
                acts_max: Some(10),
                ..of(2, vec![client(THERE), late_client(ALSO)], Budget { restores: 1, ..NONE })
            },
            (3919, 9238),
            &["promise forgotten", "stopped itself"],
        ),
        configuration(
            "two clients and one account",
            of(2, vec![client(THERE), client(ALSO)], NONE),
            (4057, 12088),
            &["insufficient-funds", "aborted", "committed"],
        ),
        configuration(
            "two banks drive and one account",
            of(2, vec![execute(0, THERE), execute(1, ALSO)], NONE),
            (580, 1460),
            &["insufficient-funds", "executed"],
        ),
        configuration(
            "two banks drive one register and one dies",
            of(2, vec![execute(0, SET_1), execute(1, SET_2)], Budget { crashes: 1, ..NONE }),
            (18486, 50177),
            &[
                "locked",
                "executed",
                "unreachable",
                "abort learned from a peer",
                "tombstone by RESOLVE",
            ],
        ),
        configuration(
            "a client and a bank drive and one leaves",
            of(2, vec![client(THERE), execute(0, ALSO)], Budget { gone: 1, ..NONE }),
            (11745, 37214),
            &[
                "insufficient-funds",
                "executed",
                "commit learned from a peer",
                "late PREPARE refused",
            ],
        ),
        configuration(
            "three banks",
            of(3, vec![client(COMPOSITE)], NONE),
            (188, 519),
            &["committed"],
        ),
        configuration(
            "three banks and the one that drives or another dies",
            of(3, vec![execute(0, COMPOSITE)], Budget { crashes: 1, ..NONE }),
            (39759, 139_405),
            &[
                "executed",
                "late PREPARE refused",
                "tombstone by RESOLVE",
                "tombstone by ABORT",
                "commit learned from a peer",
            ],
        ),
        configuration(
            "three banks two drive one register",
            of(3, vec![execute(0, SET_1_OF_3), execute(1, SET_2_OF_3)], NONE),
            (20697, 83956),
            &["locked", "executed"],
        ),
        configuration(
            "three banks two drive one register and one dies, its first events",
            Setup {
                acts_max: Some(9),
                ..of(
                    3,
                    vec![execute(0, SET_1_OF_3), execute(1, SET_2_OF_3)],
                    Budget { crashes: 1, ..NONE },
                )
            },
            (11333, 25985),
            &["locked", "crash that lost records"],
        ),
        configuration(
            "a lie to three banks",
            of(3, vec![execute(0, COMPOSITE)], Budget { lies: 1, ..NONE }),
            (52880, 224_205),
            &["duplicate-id", "executed"],
        ),
        configuration(
            "a lie to a bank that drives for others",
            of(3, vec![execute(2, THERE)], Budget { lies: 1, ..NONE }),
            (6808, 26012),
            &[
                "duplicate-id",
                "tombstone by ABORT",
                "tombstone by RESOLVE",
                "drove a commit for others",
                "drove an abort for others",
            ],
        ),
    ]);
    worlds
}
