"""In plain Python what the firmware does in fixed-point viper: the joint tick, in floats, and taking a frame."""


class FloatJoint:
    """The joint tick in plain float Python: the same measuring, checks, profile, limits and controller, in SI units."""

    dt = 0.001

    def __init__(self):
        self.count = 0
        self.scale = 8e-6
        self.position = self.speed = self.setpoint = self.setpoint_speed = 0.0
        self.target = self.target_speed = 0.0
        self.remaining = 0
        self.low, self.high, self.speed_max, self.acceleration, self.stop = -1.6, 1.6, 3.0, 40.0, 20.0
        self.kp, self.ki, self.kd, self.kv = 34.0, 270.0, 0.3, 0.4
        self.integral, self.integral_max, self.output_max = 0.0, 0.3, 1.0
        self.following_max = 0.1
        self.output = 0.0
        self.limited = 0
        self.command = 0.000512
        self.steps_max, self.overspeed, self.standstill_max = 1127, 4.0, 0.01
        self.current_max, self.current_continuous, self.heat, self.heat_max = 1.4, 0.6, 0.0, 8.9
        self.output_continuous, self.hot = 0.045, False
        self.stuck_output, self.stuck_max, self.slew, self.bias = 1.0, 15, 0.2, 0.0
        self.over = self.stuck = self.runaway = 0
        self.reference = 0.0
        self.tripped = False
        self.fault = 0

    def plan(self, position, speed, period):
        """Find the shortest horizon whose cubic stays inside the limits."""
        horizon = period
        while True:
            target = position + speed * (horizon - period) * self.dt
            target = min(max(target, self.low), self.high)
            span = horizon * self.dt
            excess = (target - self.setpoint) / span - self.setpoint_speed
            change = speed - self.setpoint_speed
            first = (6 * excess - 2 * change) / span
            last = 2 * change / span - first
            middle = self.setpoint_speed + 1.5 * excess - change / 4
            inside = abs(first) <= self.acceleration and abs(last) <= self.acceleration
            if (inside and abs(middle) <= self.speed_max) or horizon > 128:
                break
            horizon *= 2
        self.target, self.target_speed, self.remaining = target, speed, horizon

    def tick(self, count, current=0.1, drive_fault=False, watching=False):
        """Measure, check, advance the setpoint, control; return the number of a fault, 0 if there is none."""
        steps = count - self.count
        self.count = count
        self.fault = 0
        if steps > self.steps_max or steps < -self.steps_max:
            self.fault = 6
            steps = 0
        moved = steps * self.scale
        self.position += moved
        before = self.speed
        self.speed += (moved / self.dt - self.speed) / 4

        current = abs(current)
        ratio = current / self.current_continuous
        self.heat = max(0.0, self.heat + (ratio * ratio - 1) * self.dt)
        if drive_fault:
            self.fault = 11
        if self.tripped:
            return 0
        self.over = self.over + 1 if current > self.current_max else 0
        if self.over >= 3 and not self.fault:
            self.fault = 10
        if abs(self.speed) > self.overspeed and not self.fault:
            self.fault = 9
        if not watching:
            self.reference = self.position
        elif abs(self.position - self.reference) > self.standstill_max and not self.fault:
            self.fault = 5

        change = 0.0
        self.limited = 0
        if self.remaining:
            span = self.remaining * self.dt
            excess = (self.target - self.setpoint) / span - self.setpoint_speed
            change = (6 * excess - 2 * (self.target_speed - self.setpoint_speed)) / self.remaining
            self.remaining -= 1
        limit = self.acceleration * self.dt
        stopping = self.setpoint_speed * self.setpoint_speed / (2 * self.acceleration)
        if (self.setpoint_speed > 0 and self.high - self.setpoint <= stopping) or (
            self.setpoint_speed < 0 and self.setpoint - self.low <= stopping
        ):
            change = -self.setpoint_speed
            self.limited |= 32
        if change > limit or change < -limit:
            change = min(max(change, -limit), limit)
            self.limited |= 16
        self.setpoint_speed += change
        if self.setpoint_speed > self.speed_max or self.setpoint_speed < -self.speed_max:
            self.setpoint_speed = min(max(self.setpoint_speed, -self.speed_max), self.speed_max)
            self.limited |= 8
        self.setpoint += self.setpoint_speed * self.dt
        if self.setpoint > self.high or self.setpoint < self.low:
            self.setpoint = min(max(self.setpoint, self.low), self.high)
            self.setpoint_speed = 0.0

        error = self.setpoint - self.position
        if abs(error) > self.following_max and not self.fault:
            self.fault = 2
        against = self.speed if self.output >= 0 else -self.speed
        if abs(self.output) >= self.stuck_output:
            if against < -self.overspeed / 32:
                self.runaway += 1 if against < (before if self.output >= 0 else -before) else 0
                if self.runaway >= 8 and not self.fault:
                    self.fault = 8
            else:
                self.runaway = 0
            self.stuck = self.stuck + 1 if steps == 0 and abs(error) > self.following_max / 16 else 0
            if self.stuck >= self.stuck_max and not self.fault:
                self.fault = 7
        else:
            self.runaway = self.stuck = 0
        top = self.output_max
        self.hot = self.heat > self.heat_max or (self.hot and self.heat > self.heat_max / 2)
        if self.hot:
            top = min(top, self.output_continuous)
            self.limited |= 128
        output = self.kp * error + self.kv * self.setpoint_speed - self.kd * self.speed + self.bias + self.integral
        if (output < top or error < 0) and (output > -top or error > 0):
            integral = self.integral + self.ki * error * self.dt
            self.integral = min(max(integral, -self.integral_max), self.integral_max)
        if output > top or output < -top:
            output = min(max(output, -top), top)
            self.limited |= 4
        if output > self.output + self.slew or output < self.output - self.slew:
            output = min(max(output, self.output - self.slew), self.output + self.slew)
            self.limited |= 256
        self.output = output
        return self.fault


def plain_decode(block):
    """Decode a frame as a library would: COBS, CRC, then any CBOR of integers and arrays, allocating as it goes."""
    data = bytearray()
    at = 0
    while at < len(block):
        code = block[at]
        data += block[at + 1 : at + code]
        at += code
        if at < len(block) and code < 255:
            data.append(0)
    crc = 0xFFFF
    for byte in data:
        x = (crc >> 8) ^ byte
        x ^= x >> 4
        crc = ((crc << 8) ^ (x << 12) ^ (x << 5) ^ x) & 0xFFFF
    if crc:
        raise ValueError("crc")
    item, at = plain_item(data, 0)
    if at != len(data) - 2:
        raise ValueError("bytes left over")
    return item


def plain_item(data, at):
    """Return the CBOR item at ``at`` and where the next one begins."""
    major, info = data[at] >> 5, data[at] & 31
    at += 1
    if info >= 24:
        size = 1 << (info - 24)
        value = int.from_bytes(data[at : at + size], "big")
        at += size
    else:
        value = info
    if major == 0:
        return value, at
    if major == 1:
        return -1 - value, at
    if major == 4:
        items = []
        for _ in range(value):
            item, at = plain_item(data, at)
            items.append(item)
        return items, at
    raise ValueError("type")
