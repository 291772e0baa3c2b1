//! The configurations that take minutes: `scripts/exhaustive.sh` runs them.

use super::{
    ALSO, COMPOSITE, Configuration, NONE, PATIENT, SET_1, SET_1_OF_3, SET_2, SET_2_OF_3, THERE,
    client, configuration, execute, late_client, of, outside, patient,
};
use crate::exhaustive::state::{Budget, Setup};

pub fn large() -> Vec<Configuration> {
    let mut worlds = outside::large();
    worlds.extend([
        configuration(
            "time-outs",
            of(2, vec![client(THERE)], Budget { ticks: 1, time_outs: 2, ..NONE }),
            (60041, 238766),
            &["driver reports doubt"],
        ),
        configuration(
            "late lines",
            of(2, vec![client(THERE)], Budget { repeats: 1, gone: 1, time_outs: 1, ..NONE }),
            (79322, 412555),
            &["late PREPARE refused"],
        ),
        configuration(
            "two lies",
            of(2, vec![client(THERE)], Budget { lies: 2, ..NONE }),
            (41354, 166926),
            &["duplicate-id", "executed"],
        ),
        configuration(
            "two crashes",
            of(2, vec![execute(0, THERE)], Budget { crashes: 2, cuts: 1, ticks: 2, ..NONE }),
            (125871, 580823),
            &["crash that lost records"],
        ),
        configuration(
            "two clients and one register",
            of(2, vec![client(SET_1), client(SET_2)], Budget { gone: 1, ..NONE }),
            (29043, 95616),
            &["locked"],
        ),
        configuration(
            "three banks and one dies",
            of(3, vec![client(COMPOSITE)], Budget { crashes: 1, ..NONE }),
            (88225, 334007),
            &["tombstone by ABORT", "tombstone by RESOLVE", "driver reports doubt"],
        ),
        configuration(
            "a client and a bank drive and one dies",
            of(2, vec![client(THERE), execute(0, ALSO)], Budget { crashes: 1, ..NONE }),
            (221846, 833820),
            &["insufficient-funds", "executed", "crash that lost records"],
        ),
        configuration(
            "a lie and a bank dies",
            of(2, vec![client(THERE)], Budget { lies: 1, crashes: 1, ..NONE }),
            (48953, 179047),
            &["duplicate-id", "crash that lost records"],
        ),
        configuration(
            "patience and a crash",
            patient(of(2, vec![client(PATIENT)], Budget { gone: 1, ticks: 2, crashes: 1, ..NONE })),
            (21167, 96782),
            &["patience over", "restart"],
        ),
        configuration(
            "a disk is lost and its bank votes again",
            of(2, vec![client(THERE), late_client(ALSO)], Budget { restores: 1, ..NONE }),
            (232732, 820035),
            &["promise forgotten", "stopped itself"],
        ),
        configuration(
            "a lost disk and a lie",
            of(2, vec![client(THERE)], Budget { restores: 1, lies: 1, ..NONE }),
            (25196, 82572),
            &["stopped itself"],
        ),
        configuration(
            "a lost disk of three",
            of(3, vec![execute(0, COMPOSITE)], Budget { restores: 1, ..NONE }),
            (4015, 14568),
            &["stopped itself"],
        ),
        configuration(
            "two lies to three banks, one of which is not named",
            of(3, vec![client(THERE)], Budget { lies: 2, ..NONE }),
            (203793, 924679),
            &["duplicate-id", "tombstone by ABORT"],
        ),
        configuration(
            "a lost disk and a crash",
            of(2, vec![client(THERE)], Budget { restores: 1, crashes: 1, gone: 1, ..NONE }),
            (38635, 139432),
            &["stopped itself", "promise forgotten", "outcome forgotten"],
        ),
        configuration(
            "three banks, two drive one register and one dies, more events",
            Setup {
                acts_max: Some(13),
                ..of(
                    3,
                    vec![execute(0, SET_1_OF_3), execute(1, SET_2_OF_3)],
                    Budget { crashes: 1, ..NONE },
                )
            },
            (140414, 396479),
            &["locked", "executed", "crash that lost records", "tombstone by RESOLVE", "committed"],
        ),
    ]);
    worlds
}
