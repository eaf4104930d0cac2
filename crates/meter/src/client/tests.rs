use std::pin::pin;

use kmp::datalink::{Cid, Packet};
use kmp::line::RESPONSE_TIME;
use kmp::logger::{GetLogIdPastAbs, Log, LogAnswer, LogEntry, LogId, LogInfo, Selection};
use kmp::message::{GetRegister, GetSerialNo, GetType, SerialNumber};
use kmp::number::SignExponent;
use kmp::register::RegisterId;
use kmp::unit::Unit;
use kmp::value::RegisterValue;
use tokio::io::{DuplexStream, duplex};

use super::*;

pub(crate) const LINE: Line = Line::new(1200);

fn pair() -> (Meter<DuplexStream>, DuplexStream) {
    let (near, far) = duplex(1024);
    (Meter::new(near, LINE, LineState::CLEAN), far)
}

fn ask(id: u16) -> GetRegister {
    GetRegister::new(&[RegisterId::new(id)]).unwrap()
}

fn answer(id: u16, value: u8) -> Vec<u8> {
    let exponent = SignExponent::from_byte(0);
    let value =
        RegisterValue::new(RegisterId::new(id), Unit::NUMBER, exponent, vec![value]).unwrap();
    packet(0x3F, 0x10, &GetRegister::emit_answer(&[value]))
}

fn packet(address: u8, cid: u8, data: &[u8]) -> Vec<u8> {
    let (address, cid) = (Address::new(address), Cid::new(cid));
    datalink::emit(Direction::FromMeter, Packet { address, cid, data })
}

/// Waits for a request, to its stop byte.
async fn requested(far: &mut DuplexStream) -> Vec<u8> {
    let mut request = Vec::new();
    while request.last() != Some(&0x0D) {
        request.push(far.read_u8().await.unwrap());
    }
    request
}

/// How the meter reacts to a request: waits, then sends.
type Script = Vec<(u64, Vec<u8>)>;

/// Requests register 60 from a meter that follows a script for each try.
async fn scripted(scripts: Vec<Script>) -> (Result<u8, NoAnswer>, usize) {
    let (mut meter, mut far) = pair();
    let far = tokio::spawn(async move {
        let mut requests = 0;
        for script in scripts {
            requested(&mut far).await;
            requests += 1;
            for (wait, bytes) in script {
                tokio::time::sleep(Duration::from_millis(wait)).await;
                far.write_all(&bytes).await.unwrap();
            }
        }
        // It stays open and silent.
        let mut rest = Vec::new();
        far.read_to_end(&mut rest).await.unwrap();
        requests + rest.split(|&byte| byte == 0x0D).count() - 1
    });
    let stop = CancellationToken::new();
    let result = meter.request(&ask(60), Tries::Three, &stop).await;
    drop(meter);
    let result = match result {
        Ok(values) => Ok(values[0].mantissa()[0]),
        Err(RequestError::NoAnswer(no_answer)) => Err(no_answer),
        Err(other) => panic!("{other}"),
    };
    (result, far.await.unwrap())
}

/// The meter is awake from the first byte of a request until 1.6 s after the last byte.
#[tokio::test(start_paused = true)]
async fn traffic_and_time_awake_are_counted() {
    let (mut meter, mut far) = pair();
    let whole = answer(60, 7);
    let length = u64::try_from(whole.len()).unwrap();
    let mut damaged = whole.clone();
    damaged[4] ^= 1;
    let answering = tokio::spawn(async move {
        for bytes in [damaged, whole.clone(), whole] {
            requested(&mut far).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
            far.write_all(&bytes).await.unwrap();
        }
        far
    });
    let stop = CancellationToken::new();
    meter.request(&ask(60), Tries::Three, &stop).await.unwrap();
    let request = message::emit_request(Address::HEAT_METER, &ask(60)).len();
    let sent = |times: usize| u64::try_from(request * times).unwrap();
    let mut traffic = meter.traffic();
    let Traffic { retries, damaged, sent: out, received, awake, .. } = traffic.take();
    assert_eq!((retries, damaged, out, received), (1, 1, sent(2), length * 2));
    // After a damaged answer the client keeps listening, and then the line rests for 1.6 s.
    assert!(awake > Duration::from_millis(1600 * 2 + 500), "{awake:?}");
    assert!(awake < Duration::from_millis(1600 * 4), "{awake:?}");
    let mut meter = meter.counting(traffic);
    meter.request(&ask(60), Tries::Three, &stop).await.unwrap();
    let Traffic { retries, sent: out, awake, .. } = meter.traffic();
    assert_eq!((retries, out), (0, sent(1)));
    // It was still awake.
    assert!(awake < Duration::from_millis(600), "{awake:?}");
    let mut far = answering.await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    far.write_all(&answer(60, 7)).await.unwrap();
    tokio::task::yield_now().await;
    let heard = meter.request(&ask(61), Tries::One, &stop).await;
    assert!(heard.is_err());
    // Unsolicited bytes do not count as time awake.
    let later = meter.traffic();
    assert_eq!(later.received, length * 2);
    let request = LINE.time_for(request) + RESPONSE_TIME;
    assert!(later.awake <= awake + request + Duration::from_millis(1), "{later:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_returned_at_once() {
    let started = Instant::now();
    assert_eq!(scripted(vec![vec![(50, answer(60, 7))]]).await, (Ok(7), 1));
    assert_eq!(started.elapsed(), Duration::from_millis(50));
}

#[tokio::test(start_paused = true)]
async fn echo_noise_and_foreign_answers_are_skipped() {
    let (mut before, good) = (Vec::new(), answer(60, 7));
    before.extend([0x00, 0x40, 0x13, 0x0D, 0xFF]);
    before.extend(message::emit_request(Address::HEAT_METER, &ask(60)));
    before.extend(answer(68, 1));
    before.extend(packet(0x7F, 0x10, &[]));
    before.extend(packet(0x3F, 0x02, &[1, 2, 3, 4]));
    before.push(0x06);
    let mut damaged = answer(60, 9);
    damaged[6] ^= 0x20;
    before.extend(damaged);
    before.push(0x40);
    let script = vec![(0, before), (100, good)];
    assert_eq!(scripted(vec![script]).await, (Ok(7), 1));
}

/// The log explains each byte.
#[tokio::test(start_paused = true)]
async fn the_log_of_bad_answers() {
    let (log, _logging) = logging::capture::lines();
    let (mut meter, mut far) = pair();
    meter.mark_suspect();
    let commands = [60, 80, 4000].map(RegisterId::new);
    let command = GetRegister::new(&commands).unwrap();
    let server = async {
        // Late answers that nobody waits for.
        far.write_all(&[&[0x55, 0x06][..], &answer(68, 1), &[0x40, 0x3F]].concat()).await.unwrap();
        let echo = requested(&mut far).await;
        let mut damaged = answer(60, 9);
        damaged[6] ^= 0x20;
        let bytes = [
            &[0x00, 0xFF][..],
            &echo,
            &answer(68, 1),
            &packet(0x7F, 0x10, &[]),
            &packet(0x3F, 0x02, &[1, 2, 3, 4]),
            &[0x06],
            &damaged,
            &[0x40, 0x3F],
            &[0x40, 0x1B, 0x0D],
            // Bytes that begin like a request, but are none that was sent.
            &[0x80, 0x3F, 0x0D, 0x80, 0x06],
            &[0x40, 0x3F, 0x10],
        ];
        // One byte at a time, as at 1200 baud.
        for byte in bytes.concat() {
            far.write_u8(byte).await.unwrap();
            tokio::time::sleep(LINE.time_for(1)).await;
        }
        requested(&mut far).await;
        requested(&mut far).await;
        let value = |id, unit, mantissa: &[u8]| {
            let (id, exponent) = (RegisterId::new(id), SignExponent::from_byte(0x42));
            RegisterValue::new(id, Unit::from_code(unit), exponent, mantissa.to_vec()).unwrap()
        };
        let values = [value(60, 2, &[0x80, 0x0D]), value(80, 22, &[0x02, 0x80])];
        far.write_all(&packet(0x3F, 0x10, &GetRegister::emit_answer(&values))).await.unwrap();
    };
    let stop = CancellationToken::new();
    let (result, ()) = tokio::join!(meter.request(&command, Tries::Three, &stop), server);
    assert_eq!(result.unwrap().len(), 2);
    meter.request(&GetSerialNo, Tries::One, &stop).await.unwrap_err();
    insta::assert_snapshot!(log.take().join("\n"));
}

/// Only bytes that are neither an echo nor an idle 0x00 make a line noisy.
#[tokio::test(start_paused = true)]
async fn an_echo_is_not_noise() {
    let echo = message::emit_request(Address::HEAT_METER, &ask(60));
    let other = message::emit_request(Address::HEAT_METER, &ask(61));
    let all = [(echo, true), (other, false), (vec![0x80], false), (vec![0x00], true)];
    for (before, clean) in all.into_iter().chain([(vec![0x55], false)]) {
        let (mut meter, mut far) = pair();
        let server = async {
            requested(&mut far).await;
            far.write_all(&before).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
            far.write_all(&answer(60, 1)).await.unwrap();
        };
        let (stop, command) = (CancellationToken::new(), ask(60));
        let (result, ()) = tokio::join!(meter.request(&command, Tries::One, &stop), server);
        assert!(result.is_ok());
        assert_eq!(meter.is_clean(), clean, "{before:02X?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_may_arrive_in_pieces() {
    for cut in 1..14 {
        let good = answer(60, 0x80);
        let (first, second) = good.split_at(cut.min(good.len() - 1));
        let script = vec![(1500, first.to_vec()), (90, second.to_vec())];
        assert_eq!(scripted(vec![script]).await, (Ok(0x80), 1));
    }
}

#[tokio::test(start_paused = true)]
async fn silence_costs_three_tries_with_rests_between() {
    let started = Instant::now();
    assert_eq!(scripted(vec![]).await, (Err(NoAnswer::Nothing), 3));
    // 9 bytes, 1.6 s of response time and 0.25 s of slack, three times; 1.6 s of rest, twice.
    let expected = (LINE.time_for(9) + RESPONSE_TIME + SLACK) * 3 + RESPONSE_TIME * 2;
    assert!(started.elapsed().abs_diff(expected) <= Duration::from_millis(5));
}

#[tokio::test(start_paused = true)]
async fn the_error_says_what_arrived_instead() {
    let echo = message::emit_request(Address::HEAT_METER, &ask(60));
    let all = |bytes: Vec<u8>| vec![vec![(0, bytes)]; 3];
    let other = message::emit_request(Address::HEAT_METER, &ask(61));
    let mut damaged = echo.clone();
    damaged[5] ^= 1;
    assert_eq!(scripted(all(other)).await, (Err(NoAnswer::OtherRequest), 3));
    // Bytes that begin like a request are no echo.
    for noise in [vec![0x80], vec![0x80, 0x3F, 0x0D], vec![0x80, 0x12, 0xF0, 0x0D], damaged] {
        assert_eq!(scripted(all(noise.clone())).await, (Err(NoAnswer::Noise), 3), "{noise:02X?}");
    }
    assert_eq!(scripted(all(echo[..6].to_vec())).await, (Err(NoAnswer::OwnEcho), 3), "it is cut");
    assert_eq!(scripted(all(echo)).await, (Err(NoAnswer::OwnEcho), 3));
    assert_eq!(scripted(all(vec![0x00])).await, (Err(NoAnswer::Nothing), 3));
    assert_eq!(scripted(all(vec![0x55])).await, (Err(NoAnswer::Noise), 3));
    assert_eq!(scripted(all(vec![0x40, 0x06])).await, (Err(NoAnswer::Damaged), 3));
    assert_eq!(scripted(all(answer(68, 1))).await, (Err(NoAnswer::Foreign), 3));
}

/// It was reported as silence, because it arrives while the line rests.
#[tokio::test(start_paused = true)]
async fn answers_that_are_always_late_are_no_silence() {
    let request = LINE.time_for(message::emit_request(Address::HEAT_METER, &ask(60)).len());
    for delay in [2_000, 2_500, 3_000] {
        let late = vec![(delay, answer(60, 7))];
        let (result, _) = scripted(vec![late; 2]).await;
        let after = Duration::from_millis(delay).checked_sub(request).unwrap();
        assert_eq!(result, Err(NoAnswer::Late(after)));
    }
    // An answer that belongs to no request is not a late one.
    let (result, _) = scripted(vec![vec![(2_500, answer(61, 7))]; 2]).await;
    assert_eq!(result, Err(NoAnswer::Nothing));
}

/// Nothing is sent while a late answer arrives.
#[tokio::test(start_paused = true)]
async fn a_late_answer_is_received_to_its_end() {
    let whole = answer(60, 7);
    let (first, second) = whole.split_at(6);
    let late = vec![(3_400, first.to_vec()), (200, second.to_vec())];
    let (result, _) = scripted(vec![late; 2]).await;
    assert!(matches!(result, Err(NoAnswer::Late(_))), "{result:?}");
}

/// The place where answers break off is known after two of them, or at once if it was expected.
#[tokio::test(start_paused = true)]
async fn the_place_of_a_cut_is_noted() {
    let whole = answer(60, 7);
    for (lengths, expected, requests, cut) in [
        ([8, 8, 8], None, 3, Some(8)),
        ([6, 8, 7], None, 3, Some(6)),
        ([4, 7, 10], None, 3, None),
        ([8, 8, 8], Some(9), 1, Some(8)),
        ([2, 2, 2], None, 3, None),
        ([8, 8, 13], None, 3, None),
    ] {
        let (mut meter, mut far) = pair();
        meter.expect_cut(expected);
        let parts = lengths.map(|length| whole[..length.min(whole.len())].to_vec());
        let server = tokio::spawn(async move {
            let mut count = 0;
            for part in parts {
                requested(&mut far).await;
                count += 1;
                far.write_all(&part).await.unwrap();
                if count == requests {
                    break;
                }
            }
            far
        });
        let stop = CancellationToken::new();
        let result = meter.request(&ask(60), Tries::Three, &stop).await;
        assert_eq!(result.is_ok(), lengths[2] == 13);
        assert_eq!(meter.cut(), cut, "{lengths:?}");
        drop(server.await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn a_greeting_of_telnet_is_recognized() {
    for (before, is_telnet) in [(&[0xFF, 0xFB, 0x01, 0xFF, 0xFD, 0x03][..], true), (&[], false)] {
        let (mut meter, mut far) = pair();
        far.write_all(before).await.unwrap();
        let server = async {
            requested(&mut far).await;
            far.write_all(&answer(60, 7)).await.unwrap();
        };
        let (stop, command) = (CancellationToken::new(), ask(60));
        let (result, ()) = tokio::join!(meter.request(&command, Tries::One, &stop), server);
        assert!(result.is_ok());
        assert_eq!(meter.is_telnet(), is_telnet);
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_answer_is_requested_again() {
    let mut damaged = answer(60, 9);
    damaged[6] ^= 0x20;
    let scripts = vec![vec![(0, damaged)], vec![(0, answer(60, 7))]];
    assert_eq!(scripted(scripts).await, (Ok(7), 2));
}

/// Other programs mistake the answer to the previous request for the answer to this one.
#[tokio::test(start_paused = true)]
async fn a_late_answer_is_discarded() {
    let (mut meter, mut far) = pair();
    let stop = CancellationToken::new();
    let late = async {
        requested(&mut far).await;
        // After the deadline, while the line rests.
        tokio::time::sleep(LINE.time_for(7) + RESPONSE_TIME + SLACK * 2).await;
        far.write_all(&packet(0x3F, 0x02, &1_u32.to_be_bytes())).await.unwrap();
        requested(&mut far).await;
        far.write_all(&packet(0x3F, 0x02, &2_u32.to_be_bytes())).await.unwrap();
    };
    let (serial, ()) = tokio::join!(meter.request(&GetSerialNo, Tries::Three, &stop), late);
    assert_eq!(serial.unwrap(), SerialNumber::new(2));
}

/// A serial server sends the late answer to one poll to the next one, which makes the same request.
#[tokio::test(start_paused = true)]
async fn a_late_answer_is_not_accepted_by_the_next_poll() {
    let stop = CancellationToken::new();
    let command = ask(60);
    let (mut meter, far) = pair();
    assert!(meter.request(&command, Tries::One, &stop).await.is_err());
    let line_state = meter.line_state();
    drop((meter, far));
    for delay in [0, 5, 20, 100, 240] {
        let (near, mut far) = duplex(1024);
        let mut meter = Meter::new(near, LINE, line_state.clone());
        let server = async {
            tokio::time::sleep(Duration::from_millis(delay)).await;
            // Nothing is read until the line has rested, so the answer stays unread.
            far.write_all(&answer(60, 1)).await.unwrap();
            requested(&mut far).await;
            far.write_all(&answer(60, 2)).await.unwrap();
        };
        let (result, ()) = tokio::join!(meter.request(&command, Tries::One, &stop), server);
        assert_eq!(result.unwrap()[0].mantissa(), [2], "{delay} ms");
        assert!(!meter.line_state().is_suspect(), "the line is no longer suspect");
    }
}

/// The requests whose answers have no order, with an answer from each of two meters.
const UNORDERED: [(u8, [u8; 4], [u8; 4]); 2] =
    [(0x01, [0, 1, 6, 1], [0, 4, 6, 1]), (0x02, [0, 0, 0, 1], [0, 0, 0, 2])];

/// Requests the type or the serial number, and returns the bytes of the answer.
async fn identify(meter: &mut Meter<DuplexStream>, cid: u8) -> Option<Vec<u8>> {
    let stop = CancellationToken::new();
    if cid == 0x01 {
        let answer = meter.request(&GetType, Tries::Two, &stop).await;
        answer.ok().map(|meter_type| meter_type.emit().to_vec())
    } else {
        let answer = meter.request(&GetSerialNo, Tries::Two, &stop).await;
        answer.ok().map(|serial| serial.emit().to_vec())
    }
}

/// Its command shows that it is late.
#[tokio::test(start_paused = true)]
async fn a_late_type_or_serial_number_is_not_the_answer_to_another_request() {
    let stop = CancellationToken::new();
    for (cid, late, _) in UNORDERED {
        for (other, _, good) in UNORDERED.into_iter().filter(|(other, ..)| *other != cid) {
            let (mut meter, mut far) = pair();
            let server = async {
                requested(&mut far).await;
                far.write_all(&packet(0x3F, cid, &late)).await.unwrap();
                far.write_all(&packet(0x3F, other, &good)).await.unwrap();
            };
            let (answer, ()) = tokio::join!(identify(&mut meter, other), server);
            assert_eq!(answer, Some(good.to_vec()));
        }
        let (mut meter, mut far) = pair();
        let server = async {
            requested(&mut far).await;
            far.write_all(&packet(0x3F, cid, &late)).await.unwrap();
            far.write_all(&answer(60, 7)).await.unwrap();
        };
        let command = ask(60);
        let (result, ()) = tokio::join!(meter.request(&command, Tries::One, &stop), server);
        assert_eq!(result.unwrap()[0].mantissa(), [7]);
    }
}

/// Their command shows that they are late.
#[tokio::test(start_paused = true)]
async fn late_registers_do_not_answer_a_request_for_type_or_serial_number() {
    for (cid, good, _) in UNORDERED {
        let (mut meter, mut far) = pair();
        let server = async {
            requested(&mut far).await;
            far.write_all(&answer(60, 7)).await.unwrap();
            far.write_all(&packet(0x3F, cid, &good)).await.unwrap();
        };
        let (answer, ()) = tokio::join!(identify(&mut meter, cid), server);
        assert_eq!(answer, Some(good.to_vec()));
    }
}

/// The head was moved to another meter while the serial server still held an answer.
#[tokio::test(start_paused = true)]
async fn a_type_or_serial_number_of_the_previous_meter_is_not_accepted() {
    for (cid, before, now) in UNORDERED {
        // At the start nothing is known. After a failure, a late answer may still arrive.
        let (mut meter, far) = pair();
        assert_eq!(identify(&mut meter, cid).await, None);
        let failed = meter.line_state();
        drop((meter, far));
        for line_state in [LineState::default(), failed] {
            for delay in [0, 5, 20, 100, 240] {
                let (near, mut far) = duplex(1024);
                let mut meter = Meter::new(near, LINE, line_state.clone());
                let server = async {
                    tokio::time::sleep(Duration::from_millis(delay)).await;
                    far.write_all(&packet(0x3F, cid, &before)).await.unwrap();
                    requested(&mut far).await;
                    far.write_all(&packet(0x3F, cid, &now)).await.unwrap();
                };
                let (answer, ()) = tokio::join!(identify(&mut meter, cid), server);
                assert_eq!(answer, Some(now.to_vec()), "{delay} ms");
                // One that arrives even later is not detected, but the caller can ask for this.
                assert!(meter.may_be_late());
            }
        }
    }
}

/// The second try may accept the answer to the first, because it is from the same meter.
#[tokio::test(start_paused = true)]
async fn an_answer_between_two_tries_does_not_answer_the_next_request() {
    for (cid, late, good) in UNORDERED {
        let (mut meter, mut far) = pair();
        let server = async {
            requested(&mut far).await;
            tokio::time::sleep(LINE.time_for(7) + RESPONSE_TIME + SLACK * 2).await;
            far.write_all(&packet(0x3F, cid, &late)).await.unwrap();
            requested(&mut far).await;
            far.write_all(&packet(0x3F, cid, &good)).await.unwrap();
            // And one more after the accepted answer.
            far.write_all(&packet(0x3F, cid, &late)).await.unwrap();
            requested(&mut far).await;
            far.write_all(&packet(0x3F, cid, &good)).await.unwrap();
        };
        let asking = async {
            for _ in 0..2 {
                assert_eq!(identify(&mut meter, cid).await, Some(good.to_vec()));
            }
        };
        tokio::join!(asking, server);
        assert!(!meter.may_be_late(), "the line was not suspect when the stream was opened");
    }
}

#[tokio::test(start_paused = true)]
async fn a_longer_timeout_gives_an_answer_more_time_to_begin() {
    let slow = LINE.with_answer_timeout(Duration::from_secs(5));
    for (wait, line, read) in
        [(1700, LINE, true), (2000, LINE, false), (5000, slow, true), (5500, slow, false)]
    {
        let (near, mut far) = duplex(1024);
        let mut meter = Meter::new(near, line, LineState::CLEAN);
        let server = async {
            requested(&mut far).await;
            tokio::time::sleep(Duration::from_millis(wait)).await;
            far.write_all(&answer(60, 7)).await.unwrap();
        };
        let (stop, command) = (CancellationToken::new(), ask(60));
        let (result, ()) = tokio::join!(meter.request(&command, Tries::One, &stop), server);
        assert_eq!(result.is_ok(), read, "{wait} ms");
    }
    // The rest does not grow with it.
    let (near, _far) = duplex(1024);
    let mut meter = Meter::new(near, slow, LineState::CLEAN);
    let (stop, command) = (CancellationToken::new(), ask(60));
    let started = Instant::now();
    assert!(meter.request(&command, Tries::Two, &stop).await.is_err());
    let expected = (LINE.time_for(9) + Duration::from_secs(5) + SLACK) * 2 + RESPONSE_TIME;
    assert!(started.elapsed().abs_diff(expected) <= Duration::from_millis(5));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_in_an_answer_is_broken_and_leaves_the_line_suspect() {
    for cut in 0..answer(60, 7).len() {
        let (mut meter, mut far) = pair();
        let server = async {
            requested(&mut far).await;
            far.write_all(&answer(60, 7)[..cut]).await.unwrap();
            drop(far);
        };
        let (stop, command) = (CancellationToken::new(), ask(60));
        let started = Instant::now();
        let (result, ()) = tokio::join!(meter.request(&command, Tries::Three, &stop), server);
        assert!(matches!(result, Err(RequestError::Broken(_))), "{cut}: {result:?}");
        // At the latest when the answer should have ended.
        let rest = LINE.time_for(answer(60, 7).len() - cut);
        assert!(started.elapsed() <= rest + Duration::from_millis(5), "{cut}");
        assert!(meter.line_state().is_suspect());
    }
}

/// A caller that uses a different order each time knows which request an answer belongs to.
#[tokio::test(start_paused = true)]
async fn an_answer_in_the_order_of_an_earlier_request_is_rejected() {
    let both = |first, second| {
        let data = [first, second].map(|(id, value): (u16, u8)| {
            let exponent = SignExponent::from_byte(0);
            RegisterValue::new(RegisterId::new(id), Unit::NUMBER, exponent, vec![value]).unwrap()
        });
        packet(0x3F, 0x10, &GetRegister::emit_answer(&data))
    };
    let ask = |first, second| {
        GetRegister::new(&[RegisterId::new(first), RegisterId::new(second)]).unwrap()
    };
    let (mut meter, mut far) = pair();
    let stop = CancellationToken::new();
    // Also while nothing is known of the meter: an earlier run of the program may have asked.
    let (command, late) = (ask(60, 68), both((68, 1), (60, 1)));
    let server = async {
        requested(&mut far).await;
        far.write_all(&late).await.unwrap();
    };
    let (result, ()) = tokio::join!(meter.request(&command, Tries::One, &stop), server);
    assert!(matches!(result, Err(RequestError::NoAnswer(NoAnswer::OtherOrder))), "{result:?}");
    for (command, late, good) in [
        (ask(60, 68), None, both((60, 2), (68, 2))),
        (ask(68, 60), Some(both((60, 2), (68, 2))), both((68, 3), (60, 3))),
    ] {
        let expected = good[8];
        let server = async {
            requested(&mut far).await;
            if let Some(late) = late {
                far.write_all(&late).await.unwrap();
            }
            far.write_all(&good).await.unwrap();
        };
        let (result, ()) = tokio::join!(meter.request(&command, Tries::One, &stop), server);
        assert_eq!(result.unwrap()[0].mantissa(), [expected]);
    }
}

/// The registers of a request.
fn requested_registers(request: &[u8]) -> Vec<u16> {
    let ids = request[4..].as_chunks::<2>().0.iter().take(usize::from(request[3]));
    ids.map(|id| u16::from_be_bytes(*id)).collect()
}

/// An answer with these registers, in this order.
fn answer_with(registers: &[u16]) -> Vec<u8> {
    let exponent = SignExponent::from_byte(0);
    let values = registers.iter().map(|id| {
        RegisterValue::new(RegisterId::new(*id), Unit::NUMBER, exponent, vec![1]).unwrap()
    });
    packet(0x3F, 0x10, &GetRegister::emit_answer(&values.collect::<Vec<_>>()))
}

/// Which requests for these registers, in this order, are answered, with the serial number in
/// between. `answer` gives the registers of an answer.
async fn accepted(
    orders: &[&[u16]],
    answer: impl Fn(Vec<u16>) -> Vec<u16> + Send + 'static,
) -> Vec<bool> {
    let (mut meter, mut far) = pair();
    tokio::spawn(async move {
        loop {
            let request = requested(&mut far).await;
            let bytes = match request[2] {
                0x02 => packet(0x3F, 0x02, &[0, 0, 0, 1]),
                _ => answer_with(&answer(requested_registers(&request))),
            };
            far.write_all(&bytes).await.unwrap();
        }
    });
    let stop = CancellationToken::new();
    let mut accepted = Vec::new();
    for order in orders {
        let registers: Vec<_> = order.iter().map(|id| RegisterId::new(*id)).collect();
        let command = GetRegister::new(&registers).unwrap();
        accepted.push(meter.request(&command, Tries::Three, &stop).await.is_ok());
        let serial = meter.request(&GetSerialNo, Tries::Two, &stop).await;
        assert_eq!(serial.unwrap(), SerialNumber::new(1));
    }
    accepted
}

/// No document promises that meters keep the order of a request.
#[tokio::test(start_paused = true)]
async fn a_meter_with_its_own_register_order_can_be_read() {
    let orders: &[&[u16]] =
        &[&[60, 68, 74], &[68, 60, 74], &[74, 68, 60], &[68, 60], &[68, 74, 60], &[60, 68, 74]];
    let sorted = |mut registers: Vec<u16>| {
        registers.sort_unstable();
        registers
    };
    // The first was in order by chance. Two requests for different registers show that.
    assert_eq!(accepted(orders, sorted).await, [true, false, false, false, true, true]);
}

/// A serial server that repeats an answer was taken for a meter with its own order. Its values were
/// then accepted, however old they were.
#[tokio::test(start_paused = true)]
async fn a_server_that_repeats_an_answer_is_not_a_meter_with_its_own_order() {
    let orders: &[&[u16]] = &[
        &[68, 60, 74],
        &[74, 60, 68],
        &[68, 60],
        &[68, 74, 60],
        &[74, 68],
        &[74, 68, 60],
        &[68, 60, 74],
    ];
    assert_eq!(accepted(orders, |_| vec![60, 68, 74]).await, [false; 7]);
}

/// A serial server that delivers each answer when the next request waits for its own. The orders
/// of these answers differ, so they are not mistaken for the meter's own order.
#[tokio::test(start_paused = true)]
async fn a_line_that_delays_every_answer_is_not_a_meter_with_its_own_order() {
    let (mut meter, mut far) = pair();
    tokio::spawn(async move {
        let mut late = Vec::new();
        loop {
            let request = requested(&mut far).await;
            far.write_all(&std::mem::take(&mut late)).await.unwrap();
            let ids = request[4..10].as_chunks::<2>().0.iter().map(|id| u16::from_be_bytes(*id));
            let exponent = SignExponent::from_byte(0);
            let values: Vec<_> = ids
                .map(|id| {
                    let id = RegisterId::new(id);
                    RegisterValue::new(id, Unit::NUMBER, exponent, vec![1]).unwrap()
                })
                .collect();
            late = packet(0x3F, 0x10, &GetRegister::emit_answer(&values));
        }
    });
    let stop = CancellationToken::new();
    let orders = [[60, 68, 74], [68, 60, 74], [74, 60, 68], [68, 74, 60]];
    for order in orders.iter().cycle().take(20) {
        let command = GetRegister::new(&order.map(RegisterId::new)).unwrap();
        let answer = meter.request(&command, Tries::One, &stop).await;
        assert!(answer.is_err(), "{order:?}: {answer:?}");
    }
}

/// Endless bytes must not prevent a poll.
#[tokio::test(start_paused = true)]
async fn a_request_is_sent_even_if_the_line_is_never_quiet() {
    let (near, far) = duplex(1024);
    let (mut hear, mut say) = tokio::io::split(far);
    let noise = tokio::spawn(async move {
        while say.write_all(&[0x55]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut meter = Meter::new(near, LINE, LineState::default());
    let stop = CancellationToken::new();
    let command = ask(60);
    let asking = meter.request(&command, Tries::One, &stop);
    let mut byte = [0];
    let (result, heard) = tokio::join!(asking, hear.read_exact(&mut byte));
    heard.unwrap();
    assert!(matches!(result, Err(RequestError::NoAnswer(NoAnswer::Noise))), "{result:?}");
    drop(meter);
    noise.abort();
}

#[tokio::test(start_paused = true)]
async fn a_dropped_request_leaves_no_answer_behind() {
    let (mut meter, mut far) = pair();
    let stop = CancellationToken::new();
    let impatient = Duration::from_millis(10);
    let dropped = timeout(impatient, meter.request(&GetSerialNo, Tries::One, &stop));
    assert!(dropped.await.is_err());
    requested(&mut far).await;
    far.write_all(&packet(0x3F, 0x02, &1_u32.to_be_bytes())).await.unwrap();
    let next = async {
        requested(&mut far).await;
        far.write_all(&packet(0x3F, 0x02, &2_u32.to_be_bytes())).await.unwrap();
    };
    let started = Instant::now();
    let (serial, ()) = tokio::join!(meter.request(&GetSerialNo, Tries::One, &stop), next);
    assert_eq!(serial.unwrap(), SerialNumber::new(2));
    assert!(started.elapsed() >= RESPONSE_TIME);
}

#[tokio::test(start_paused = true)]
async fn the_next_request_waits_for_one_byte_time() {
    let (mut meter, mut far) = pair();
    let stop = CancellationToken::new();
    let far = async {
        for _ in 0..2 {
            requested(&mut far).await;
            far.write_all(&answer(60, 1)).await.unwrap();
        }
    };
    let started = Instant::now();
    let two = async {
        meter.request(&ask(60), Tries::One, &stop).await.unwrap();
        meter.request(&ask(60), Tries::One, &stop).await.unwrap();
    };
    tokio::join!(two, far);
    assert!(started.elapsed() >= Duration::from_millis(9));
    assert!(started.elapsed() < Duration::from_millis(12));
}

#[tokio::test(start_paused = true)]
async fn a_closed_stream_is_not_silence() {
    let (mut meter, far) = pair();
    drop(far);
    let stop = CancellationToken::new();
    let result = meter.request(&ask(60), Tries::Three, &stop).await;
    assert!(matches!(result, Err(RequestError::Broken(_))), "{result:?}");
}

/// Another program may have stopped the output of a terminal. Waiting for it would never end.
#[tokio::test(start_paused = true)]
async fn a_port_that_accepts_no_bytes_is_broken() {
    let (near, _far) = duplex(4);
    let mut meter = Meter::new(near, LINE, LineState::CLEAN);
    let stop = CancellationToken::new();
    let command = ask(60);
    let asking = meter.request(&command, Tries::Three, &stop);
    let result = timeout(Duration::from_secs(3), asking).await.unwrap();
    let Err(RequestError::Broken(error)) = result else { panic!("{result:?}") };
    assert_eq!(error.to_string(), "it accepts no bytes");
    assert!(meter.line_state().is_suspect(), "a part of the request may have been sent");
}

#[tokio::test(start_paused = true)]
async fn stopping_waits_for_the_answer_under_way_and_sends_nothing_new() {
    let (mut meter, mut far) = pair();
    let stop = CancellationToken::new();
    let far = async {
        requested(&mut far).await;
        stop.cancel();
        tokio::time::sleep(Duration::from_millis(300)).await;
        far.write_all(&answer(60, 1)).await.unwrap();
    };
    let (command, next) = (ask(60), ask(68));
    let requests = async {
        meter.request(&command, Tries::Three, &stop).await.unwrap();
        meter.request(&next, Tries::Three, &stop).await
    };
    let (result, ()) = tokio::join!(requests, far);
    assert!(matches!(result, Err(RequestError::Stopping)), "{result:?}");
}

/// How often a request wakes the processor, and how long it takes, while each of these bytes arrives
/// at its own time after the request. The same for the next request.
async fn paced<C: Command>(command: &C, sent: Vec<(Duration, u8)>) -> [(u32, Duration); 2] {
    let (mut meter, mut far) = pair();
    let stop = CancellationToken::new();
    let mut measured = [(0, Duration::ZERO); 2];
    for (wake_ups, took) in &mut measured {
        // Until the line has rested.
        tokio::time::sleep(LINE.time_for(2)).await;
        let begun = Instant::now();
        let sent = sent.clone();
        let server = tokio::spawn(async move {
            requested(&mut far).await;
            for (at, byte) in sent {
                sleep_until(begun + at).await;
                far.write_u8(byte).await.unwrap();
            }
            far
        });
        let mut polls = 0;
        let mut request = pin!(meter.request(command, Tries::One, &stop));
        let answer = poll_fn(|context| {
            polls += 1;
            request.as_mut().poll(context)
        });
        answer.await.unwrap();
        // The first one is no wake-up.
        (*wake_ups, *took) = (polls - 1, begun.elapsed());
        far = server.await.unwrap();
    }
    measured
}

/// Bytes in line speed that begin at this time.
pub(crate) fn on_the_line(begin: Duration, bytes: &[u8]) -> Vec<(Duration, u8)> {
    let at = |index: usize| begin + LINE.time_for(index + 1);
    bytes.iter().enumerate().map(|(index, byte)| (at(index), *byte)).collect()
}

/// An answer with these registers, whose values contain bytes that must be escaped.
pub(crate) fn eight(registers: &[RegisterId]) -> Vec<u8> {
    let value = |(index, register): (usize, &RegisterId)| {
        let mantissa = vec![0, 0x12, u8::try_from(index).unwrap(), 0x0D];
        RegisterValue::new(*register, Unit::NUMBER, SignExponent::from_byte(0x42), mantissa)
            .unwrap()
    };
    let values: Vec<_> = registers.iter().enumerate().map(value).collect();
    packet(0x3F, 0x10, &GetRegister::emit_answer(&values))
}

/// Each byte woke the processor.
#[tokio::test(start_paused = true)]
async fn an_answer_at_line_speed_takes_at_most_eight_wake_ups() {
    let registers: Vec<_> = (60..68).map(RegisterId::new).collect();
    let command = GetRegister::new(&registers).unwrap();
    let request = message::emit_request(Address::HEAT_METER, &command);
    let answer = eight(&registers);
    let asked = LINE.time_for(request.len());
    for turnaround in [5, 50, 300, 1_500].map(Duration::from_millis) {
        for echo in [false, true] {
            for certain in [false, true] {
                let command = command.clone().expecting(|_| certain);
                let mut sent = on_the_line(asked + turnaround, &answer);
                if echo {
                    sent.splice(0..0, on_the_line(Duration::ZERO, &request));
                }
                let ends = sent.last().unwrap().0;
                let case = format!("{turnaround:?}, echo {echo}, certain {certain}");
                // At first, it is not known how long the answer is.
                for ((wake_ups, took), most) in paced(&command, sent).await.into_iter().zip([11, 8])
                {
                    assert!(wake_ups <= most, "{case}: {wake_ups}");
                    assert!(took <= ends + LINE.time_for(1), "{case}: {took:?}, {ends:?}");
                }
            }
        }
    }
}

/// An answer of the logger says itself how long it is.
#[tokio::test(start_paused = true)]
async fn entries_of_a_log_take_at_most_twelve_wake_ups() {
    let value = |id: u16, last: u8| {
        let exponent = SignExponent::from_byte(0);
        RegisterValue::new(RegisterId::new(id), Unit::NUMBER, exponent, vec![0, 1, 0x0D, last])
    };
    let entry = |back: u8| LogEntry {
        id: LogId::new(645 - u32::from(back)),
        values: [348, 60, 68].iter().map(|id| value(*id, back).unwrap()).collect(),
    };
    let entries: Vec<_> = (0..24).map(entry).collect();
    let registers = [348, 60, 68].map(RegisterId::new);
    let selection = Selection::new(Log::Day, 24, &registers).unwrap();
    let command = GetLogIdPastAbs { from: LogId::new(645), selection };
    let answer = LogAnswer::new(LogId::new(645), LogInfo::NONE, &entries).unwrap();
    let answer = packet(0x3F, 0xB8, &command.emit_answer(&answer));
    let asked = LINE.time_for(message::emit_request(Address::HEAT_METER, &command).len());
    let sent = on_the_line(asked + Duration::from_millis(50), &answer);
    let ends = sent.last().unwrap().0;
    for (wake_ups, took) in paced(&command, sent).await {
        assert!(wake_ups <= 12, "{wake_ups}");
        assert!(took <= ends + LINE.time_for(1), "{took:?}, {ends:?}");
    }
}

/// An adapter with a latency timer of 16 ms, a slow meter, and a serial server that collects bytes.
#[tokio::test(start_paused = true)]
async fn an_answer_in_chunks_is_neither_late_nor_takes_many_wake_ups() {
    let registers: Vec<_> = (60..68).map(RegisterId::new).collect();
    let command = GetRegister::new(&registers).unwrap().expecting(|_| true);
    let asked = LINE.time_for(message::emit_request(Address::HEAT_METER, &command).len());
    let answer = eight(&registers);
    for (chunk, slower) in [(16, 100), (50, 100), (200, 100), (1, 102), (16, 98), (1_500, 100)] {
        let mut sent = on_the_line(asked + Duration::from_millis(50), &answer);
        for (at, _) in &mut sent {
            let millis = at.as_millis() * slower / 100;
            *at = Duration::from_millis(u64::try_from(millis.div_ceil(chunk) * chunk).unwrap());
        }
        let ends = sent.last().unwrap().0;
        for ((wake_ups, took), most) in paced(&command, sent).await.into_iter().zip([11, 8]) {
            let late = took.saturating_sub(ends);
            assert!(wake_ups <= most, "{chunk}, {slower}: {wake_ups}");
            assert!(late <= Duration::from_millis(40), "{chunk}, {slower}: {late:?}");
        }
    }
}

/// The client does not wait long for registers that an answer lacks.
#[tokio::test(start_paused = true)]
async fn an_answer_that_lacks_registers_is_hardly_late() {
    let registers: Vec<_> = (60..68).map(RegisterId::new).collect();
    let command = GetRegister::new(&registers).unwrap();
    let asked = LINE.time_for(message::emit_request(Address::HEAT_METER, &command).len());
    for (count, most) in [(0, 2), (7, 60), (6, 115), (4, 250), (1, 250)] {
        let answer = eight(&registers[..count]);
        let sent = on_the_line(asked + Duration::from_millis(50), &answer);
        let ends = sent.last().unwrap().0;
        for (_, took) in paced(&command, sent).await {
            let late = took.saturating_sub(ends);
            assert!(late <= Duration::from_millis(most), "{count}: {late:?}");
        }
    }
}
