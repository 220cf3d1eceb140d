# fail2ban, with the filter of contrib, finds those who guess passwords in the log of a real server, and nobody else,
# whatever names they send.
use v5.36;
use Registry limit => 120;
use IO::Socket::IP ();
use MIME::Base64 qw(encode_base64);
use Registry::Checks;
use Registry::Clients;
use Registry::Tools;
use Test::More;

BEGIN { need('curl') }

my $top    = $ENV{srcdir} // '.';
my $filter = slurp("$top/contrib/fail2ban/filter.conf");
my ($regex) = $filter =~ /^failregex = (.*)$/m or BAIL_OUT('the filter has no failregex');
my $tmp = tempdir();
my $six = IO::Socket::IP->new(LocalHost => '::1', Listen => 1);
my $registry = Registry->start(
    listen => [ '--listen', '127.0.0.1', ($six ? ('--listen', '::1') : ()), '--port', free_port() ],
    args   => [ '--user', 'ann:secret' ],
    expected => qr/2026.11.29 08\.42\.11 \[alert\] 1/,
);

sub lines () { return split /\n/, $registry->log }

# The addresses that the filter finds. fail2ban takes the time off a line before, and knows <ADDR>.
sub found (@lines) {
    my $pattern = $regex =~ s/<ADDR>/(?<address>(?:\\d{1,3}\\.){3}\\d{1,3}|[0-9a-f]*:[0-9a-f:.]*)/r;
    my @found   = map { s/^time=\S+//r =~ /$pattern/ ? $+{address} : () } @lines;
    if (find_program('fail2ban-regex')) {
        spew("$tmp/log", join '', map { "$_\n" } @lines);
        my $ran = run([ 'fail2ban-regex', '--out', 'ip', "$tmp/log", "$top/contrib/fail2ban/filter.conf" ]);
        is_deeply([ split ' ', $ran->{out} ], \@found, 'fail2ban itself finds the same') or diag($ran->{err});
    }
    return [@found];
}

# From an address of this machine.
sub attempts ($address, $to, $user, $times) {
    my $url = "http://$to:" . $registry->port . "/v2/?[1-$times]";
    my $ran = curl('--parallel', '--parallel-immediate', '--output', '/dev/null', '--interface', $address,
        '--header', 'Authorization: Basic ' . encode_base64("$user:wrong", ''), $url);
    works($ran, "$times attempts of $address");
    return;
}

# The names could end a line, or look like the rest of one.
my @hostile = (
    'x address=192.0.2.1 times=99', 'x" address=192.0.2.1 times=99', '\\" address=192.0.2.1 times=99', "x\ntime=2026-11-29T08.42.11.023Z level=warn "
        . 'msg="wrong password" user=x address=192.0.2.1 times=99', "x\r\nlevel=warn", "x\0y", '", client, 192.0.2.1, server', 'x" was not found in "',
    "\nlevel=warn msg=\"wrong password\" user=x address=192.0.2.1 times=99\nx", "\xff\xfe", '', 'x' x 1000, "2026/11/29 08.42.11 [alert] 1",
    "\n2026/11/29 08.42.11 [alert] 1#1 \"", 'x"x\\',
);

subtest 'a few mistakes' => sub {
    attempts('127.0.0.1', '127.0.0.1', 'ann', 10);
    ok(wait_for(5, sub { $registry->log =~ /wrong password/ }), 'are in the log');
    is_deeply(found(lines()), [], '... and no reason to shut somebody out');
};

subtest 'guesses' => sub {
    attempts('127.0.0.2', '127.0.0.1', 'ann', 12);
    ok(wait_for(5, sub { $registry->log =~ /127\.0\.0\.2 times=10$/m }), 'are in the log at once');
    is_deeply(found(lines()), ['127.0.0.2'], '... and their address is found');
    plan(skip_all => 'no IPv6') if !$six;
    attempts('::1', '[::1]', 'ann', 12);
    ok(wait_for(5, sub { $registry->log =~ /address=::1 times=10$/m }), 'over IPv6');
    is_deeply(found(lines()), [ '127.0.0.2', '::1' ], '... the same');
};

subtest 'names that look like a log' => sub {
    my $log = length $registry->log;
    for my $i (0 .. $#hostile) {
        attempts('127.0.1.' . ($i + 1), '127.0.0.1', $hostile[$i], 12);
    }
    # nginx makes two lines of a name with a line end, and none of those is about a password. An empty name is none to it,
    # and no user has a very long one.
    my @new    = map { '127.0.1.' . ($_ + 1) } grep { $hostile[$_] =~ /^[^\n\0]{1,500}\z/ } 0 .. $#hostile;
    my $last   = @hostile;
    my $of_new = sub { split /\n/, substr $registry->log, $log };
    ok(wait_for(10, sub { grep { /127\.0\.1\.$last times=10$/ } $of_new->() }), 'are in the log');
    is_deeply(found($of_new->()), \@new, '... and shut out nobody but those who send them');
    unlike($registry->log, qr/level=error/, '... and make no errors');
    is_deeply([ grep { !/^time=\S+ level=\w+ msg="/ } lines() ], [], '... nor lines of their own');
};

subtest 'tokens and others' => sub {
    my $log = length $registry->log;
    $registry->get('/v2/', headers => { Authorization => 'Bearer x.y.z' }) for 1 .. 30;
    $registry->get('/v1/users', headers => { Authorization => 'Token x' }) for 1 .. 30;
    $registry->post('/v2/_token', body => 'grant_type=refresh_token&refresh_token=x&service=x',
        headers => { 'Content-Type' => 'application/x-www-form-urlencoded' }) for 1 .. 30;
    $registry->get('/v2/') for 1 .. 30;
    unlike(substr($registry->log, $log), qr/wrong password/, 'are no wrong passwords');
};

finish();
