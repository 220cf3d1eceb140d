# Users are added, changed and removed while the registry runs, and before it ever did; what a command has
# done counts as soon as it returns.
use v5.36;
use Registry limit => 120;
use Registry::Checks;
use JSON::PP ();
use POSIX ();
use Registry::Tools;
use Test::More;
use Time::HiRes qw(sleep time);

my $registry = Registry->start;
my $dir      = $registry->dir;

# As whoever started the registry. Options as Registry::Tools::run.
sub user ($at, $args, %o) { return Registry->try([ 'user', @$args, '--dir', $at ], %o) }

sub add ($at, $name, $password, @more) { return user($at, [ 'add', $name, @more ], stdin => "$password\n") }

sub is_done ($result, $name) {
    is($result->{exit}, 0, $name) or diag($result->{err});
    is($result->{out} . $result->{err}, '', '... and says nothing');
    return;
}

sub status_of ($pair) { return $registry->with(user => $pair)->get('/v2/')->status }

subtest 'while the registry runs' => sub {
    is($registry->get('/v2/')->status, 200, 'without users it is open');
    is_done(add($dir, 'ann', 'p4ss: word '), 'the first user is added');
    is($registry->get('/v2/')->status,   401, 'at once a password is needed');
    is(status_of('ann:p4ss: word '),     200, '... and hers is right');
    is(status_of('ann:p4ss: word'),      401, '... another is wrong');
    is(status_of('bob:p4ss: word '),     401, '... and so is another name');

    is_done(add($dir, 'bob', 'second'), 'a second one is added');
    is(status_of('bob:second'),      200, 'both may come in');
    is(status_of('ann:p4ss: word '), 200, '... both');
    is_status($registry->with(user => 'bob:second')->push_image('a/b', '1', [ random_bytes(1000) ]), 201, '... and push');

    is_done(add($dir, 'ann', 'changed'), 'a password is changed');
    is(status_of('ann:changed'),     200, 'the new one is right at once');
    is(status_of('ann:p4ss: word '), 401, '... and the old one wrong');

    my $list = user($dir, ['list']);
    my $row  = "password\tsha512-crypt\tnever\tvalid\n";
    is("$list->{exit} $list->{out}", "0 ann\t${row}bob\t$row", 'the list has their names, in the order of the file, and what they are');
    is($list->{err}, '', '... and nothing else');

    is_done(user($dir, [ 'del', 'ann' ]), 'a user is removed');
    is(status_of('ann:changed'), 401, '... and refused at once');
    is(status_of('bob:second'),  200, '... the other one is not');

    my $unknown = user($dir, [ 'del', 'ann' ]);
    is($unknown->{exit}, 1, 'who is unknown cannot be removed');
    like($unknown->{err}, qr/no user ann\b/, '... and that is said');
    is($unknown->{err} =~ tr/\n//, 1, '... in one line');
};

subtest 'another password, and whether it is right' => sub {
    my $passwd = sub ($name, $password, @more) { return user($dir, [ 'passwd', $name, @more ], stdin => "$password\n") };
    my $verify = sub ($name, $password) { return user($dir, [ 'verify', $name ], stdin => "$password\n") };
    is_done($passwd->('bob', 'his new one'), 'a user gets another password');
    is(status_of('bob:his new one') . status_of('bob:second'), '200401', '... which counts');
    is_refused($passwd->('eve', 'secret'), qr/no user eve\b/, 'who is unknown gets none');
    unlike(slurp("$dir/auth/htpasswd"), qr/eve/, '... and is not added');

    is_done($verify->('bob', 'his new one'), 'the right password is right');
    is_refused($verify->('bob', 'second'), qr/not the password of bob$/, 'another one is wrong');
    is_refused($verify->('eve', 'second'), qr/no user eve\b/, 'and so is that of nobody');

    my $made = user($dir, [ 'passwd', 'bob', '--generate' ]);
    is($made->{exit}, 0, 'a password can be made');
    like($made->{out}, qr/\A[a-z2-9]{5}(?:-[a-z2-9]{5}){4}\n\z/, '... and is printed');
    is($made->{err}, '', '... alone');
    chomp(my $password = $made->{out});
    is(status_of("bob:$password"), 200, '... and counts');
    is_done($verify->('bob', $password), '... and is right');
    isnt(user($dir, [ 'passwd', 'bob', '--generate' ])->{out}, $made->{out}, '... the next one is another');
    my $new = user($dir, [ 'add', 'dan', '--generate' ]);
    is($new->{exit}, 0, 'also for a new user');
    is_done($verify->('dan', $new->{out} =~ s/\n//r), '... whose password that is');
    is_done(user($dir, [ 'del', 'dan' ]), '... who may go');
};

# Each kind of hash of "secret": what user verify and nginx think of it. Those without a password are cut, or of a method
# that nginx doesn't know.
subtest 'the hashes of other programs' => sub {
    my %hash = (
        plain => '{PLAIN}secret',
        sha   => '{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=',
        ssha  => '{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0',
        md5   => '$1$saltsalt$9xy1btjgzLYfb7hivXtC//',
        sha256 => '$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA',
        yescrypt => '$y$j9T$abcdefgh$IUWJt2doU4Kf6E/JP1UkAT3S5O3Q7SSA8SJirXIlEu9',
        bcrypt   => '$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW',
        apr1     => '$apr1$saltsalt$LrttParrLPdxvgutaSXWJ0',
        des      => 'abNANd1rDfiNc',
        nopad    => '{SSHA}5en6G6MezRroT3XKqkdPOmY/BfQ',
        padded   => '{SSHA}5en6G6MezRroT3XKqkdPOmY/BfQ=',
        cut      => '$5$saltsalt$0IyaXrmV7.sGNS6t',
        short    => '{SSHA}c2VjcmV0',
        argon2   => '$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$kZm9vYmFyZm9vYmE',
        locked   => '!',
    );
    my $others = Registry->start;
    mkdir $others->dir . '/auth';
    if (($ENV{CI} // '') ne 'true') {
        spew($others->dir . '/auth/htpasswd', "apr1:$hash{apr1}\n");
        my $apr1 = user($others->dir, [ 'verify', 'apr1' ], stdin => "secret\n");
        delete $hash{apr1} if $apr1->{err} =~ /built without libaprutil/;
    }
    my @names = sort keys %hash;
    spew($others->dir . '/auth/htpasswd', join '', map { "$_:$hash{$_}:a comment\n" } @names);
    ok(wait_for(5, sub { $others->with(user => 'plain:secret')->get('/v2/')->status == 200 && $others->get('/v2/')->status == 401 }), 'a file of others is read');
    my (%nginx, %verify);
    for my $name (@names) {
        for my $password ('secret', 'secreT') {
            $nginx{"$name $password"} = $others->with(user => "$name:$password")->get('/v2/')->status == 200 ? 0 : 1;
            $verify{"$name $password"} = user($others->dir, [ 'verify', $name ], stdin => "$password\n")->{exit};
        }
    }
    is_deeply(\%verify, \%nginx, 'user verify and nginx agree about every hash');
    my %unusable = map { $_ => 1 } qw(nopad cut short argon2 locked);
    is_deeply([ grep { $nginx{"$_ secret"} } @names ], [ sort keys %unusable ], '... and about those that no password fits');
    my $list  = user($others->dir, ['list']);
    my %state = map { (split /\t/)[ 0, 4 ] } split /\n/, $list->{out};
    is_deeply(\%state, { map { $_ => $unusable{$_} ? 'unusable' : 'valid' } @names }, 'the list tells which these are');
    like($list->{err}, qr/nginx can't check the hashes of 5 /, '... also in words');
    my $rows = JSON::PP->new->decode(user($others->dir, [ 'list', '--json' ])->{out});
    is_deeply([ map { $_->{name} } @$rows ], \@names, 'as JSON, too');
    is_deeply((grep { $_->{name} eq 'argon2' } @$rows)[0], { name => 'argon2', kind => 'password', hash => 'unknown', expires => '', state => 'unusable' }, '... with these fields');
    spew($others->dir . '/auth/htpasswd', "\xe2\x80\xaeb\xffb:$hash{plain}\n");
    like(user($others->dir, ['list'])->{out}, qr/\A\?b\?b\tpassword\t/, 'a name with characters that cannot be seen is shown plainly');
};

subtest 'the rest of the file stays' => sub {
    my $file = "$dir/auth/htpasswd";
    my $bob  = slurp($file);
    open my $out, '>', $file;
    print {$out} "# our users\r\n\n${bob}no line of any use\neve:\$5\$x";
    close $out;
    is_done(add($dir, 'bob', 'third'), 'a line is replaced');
    like(slurp($file), qr/\A# our users\r\n\nbob:\$6\$\S+\nno line of any use\neve:\$5\$x\z/, '... where it was');
    is_done(add($dir, 'cid', 'x' x 511), 'a line is added');
    like(slurp($file), qr/\neve:\$5\$x\ncid:\$6\$\S+\n\z/, '... as the last one');
    is(status_of('cid:' . 'x' x 511), 200, '... of the longest password');
    is_done(user($dir, [ 'del', 'bob' ]), 'a line is removed');
    like(slurp($file), qr/\A# our users\r\n\nno line of any use\neve:\$5\$x\ncid:\$6\$\S+\n\z/, '... and no other');
    is_done(user($dir, [ 'del', $_ ]), "$_, too") for 'cid';
};

subtest 'the last one' => sub {
    my $last = user($dir, [ 'del', 'eve' ]);
    is($last->{exit}, 0, 'the last user is removed');
    like($last->{err}, qr/nobody may push or pull.*\Q$dir\E\/auth\/htpasswd.*SIGHUP/, '... and what that means is said');
    is($last->{out}, '', '... on stderr');
    is($registry->get('/v2/')->status, 401, 'the registry stays closed');
    ok(-e "$dir/auth/htpasswd", 'the file stays');
    my $list = user($dir, ['list']);
    is("$list->{exit} $list->{out}", '0 ', 'the list is empty');
    like($list->{err}, qr/has no users/, '... and stderr says what that means');

    unlink "$dir/auth/htpasswd";
    kill 'HUP', $registry->pid;
    ok(wait_for(5, sub { $registry->get('/v2/')->status == 200 }), 'as it was told: without the file it is open');
    $list = user($dir, ['list']);
    is("$list->{exit} $list->{out}", '0 ', 'there is no user then');
    like($list->{err}, qr/everybody may/, '... and stderr says what that means');
    is(user($dir, [ 'del', 'ann' ])->{exit}, 1, 'nobody can be removed');
    ok(!-e "$dir/auth/htpasswd", '... and no file is made by that');
};

subtest 'a name that rules still have' => sub {
    my $tmp   = tempdir();
    my $named = "$tmp/named";
    my $del   = sub (@more) {
        add($named, 'ann', 'secret');
        my $result = user($named, [ 'del', 'ann', @more ]);
        is($result->{exit}, 0, 'a user is removed') or diag($result->{err});
        return [ $result->{err} =~ /^docker-registry-server: (warning: .*)$/mg ];
    };
    my $gets = 'a new user of this name gets these rights';
    add($named, 'bob', 'secret');
    is_deeply($del->(), [], 'whom nothing names');
    spew("$named/auth/groups", "# ann:\nann: bob\ndevs: bob anne\nops:zoe ann\n");
    spew("$named/auth/access", "ann/** bob all\n# x ann all\nteam/** ann push\n** \@ann pull\n*  ann\tbroken\n");
    is_deeply($del->(), [ "warning: auth/groups:4 still names ann: $gets", "warning: 2 lines of auth/access, from line 3 on, still name ann: $gets" ],
        'a warning for each file that does');
    spew("$tmp/rules", "team/** ann push\n");
    is_deeply($del->('--access', "$tmp/rules"), [ "warning: auth/groups:4 still names ann: $gets", "warning: $tmp/rules:1 still names ann: $gets" ],
        '... also for that of --access');
    like($del->('--access', "$tmp/none")->[1], qr/may still name ann: .*none/, '... which may be gone');
    like(slurp("$named/auth/groups"), qr/ops:zoe ann$/m, 'the files stay as they are');
};

subtest 'many at once' => sub {
    my @failed = in_parallel(2, 60, sub ($i) {
        return join ' ', map { my $r = add($dir, "user-$i-$_", "secret-$i-$_"); $r->{exit} ? "$_: $r->{err}" : () } 1 .. 10;
    });
    is_deeply(\@failed, [ '', '' ], 'two add ten users each');
    my @expected = sort map { my $i = $_; map { "user-$i-$_" } 1 .. 10 } 0 .. 1;
    is_deeply([ sort map { s/\t.*//r } split /\n/, user($dir, ['list'])->{out} ], \@expected, 'none of them is lost');
    is(join(' ', map { status_of(s/user/$_:secret/r) } @expected), join(' ', (200) x 20), '... and all may come in');
    is_deeply([ grep { /^auth/ } $registry->files ], [ 'auth/htpasswd', 'auth/token.key' ], 'nothing else is left in auth/');
};

subtest 'a hundred thousand users' => sub {
    my $many = Registry->start;
    my $file = $many->dir . '/auth/htpasswd';
    my $hash = '{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0';
    mkdir $many->dir . '/auth';
    spew("$file.new", join '', map { "user-$_:$hash" . '$' x 60 . ":a comment\n" } 1 .. 100_000);
    spew("$file.new", slurp("$file.new") . "last:$hash\n");
    cmp_ok(-s "$file.new", '>', 10_000_000, 'there is a large file');
    rename "$file.new", $file or die "rename: $!";
    ok(wait_for(10, sub { $many->with(user => 'last:secret')->get('/v2/')->status == 200 && $many->get('/v2/')->status == 401 }), '... which is used');
    my $started = time;
    is_done(add($many->dir, 'new', 'password'), 'one more is added');
    cmp_ok(time - $started, '<', 5, '... soon');
    is($many->with(user => 'new:password')->get('/v2/')->status, 200, '... and may come in');
    is(user($many->dir, [ 'add', 'ci', '--robot' ])->{exit}, 0, 'a robot, too');
    is_done(user($many->dir, [ 'del', 'user-50000' ]), 'one is removed');
    is(() = slurp($file) =~ /\n/g, 100_002, 'all others are there');
    my @list = split /\n/, user($many->dir, ['list'])->{out};
    is(scalar @list, 100_002, '... also in the list');
};

# ---- what is refused ----

subtest 'refused' => sub {
    my $before = slurp("$dir/auth/htpasswd");
    my %names  = (
        'a colon'          => 'a:b',
        'nothing'          => '',
        'a tab'            => "a\tb",
        'a line end'       => "a\nb",
        'DEL'              => "a\x7f",
        'a comment'        => '#ann',
        'more than 128'    => 'n' x 129,
    );
    for my $what (sort keys %names) {
        for my $verb ('add', 'passwd', 'del', 'verify') {
            my $result = user($dir, [ $verb, $names{$what} ], stdin => "secret\n");
            is($result->{exit}, 2, "$verb, a name with $what");
            is($result->{err} =~ tr/\n//, 1, '... in one line');
        }
    }
    my $anonymous = add($dir, 'anonymous', 'secret');
    is($anonymous->{exit}, 2, 'the name that rules give to clients without a user');
    like($anonymous->{err}, qr/^docker-registry-server: anonymous stands for clients without a user.*: take another name\n\z/, '... which is said');
    for my $own ('retention', 'gc-untagged') {
        my $result = add($dir, $own, 'secret');
        is($result->{exit}, 2, "the name that audit gives to the server itself: $own");
        like($result->{err}, qr/^docker-registry-server: \Q$own\E stands for the server itself in audit: take another name\n\z/, '... which is said');
    }
    my %passwords = (
        'nothing'         => '',
        'an empty line'   => "\nsecret\n",
        'a tab'           => "se\tcret\n",
        'a NUL'           => "secret\0\n",
        'more than 511'   => 'x' x 512 . "\n",
        'a lot more'      => 'x' x 100_000,
    );
    for my $what (sort keys %passwords) {
        my $result = user($dir, [ 'add', 'ann' ], stdin => $passwords{$what});
        is($result->{exit}, 1, "a password with $what");
        like($result->{err}, qr/^docker-registry-server: the password .*\n\z/, '... in one line');
    }
    my @usages = (
        [], ['add'], ['del'], ['passwd'], ['verify'], ['help'], [ 'add', 'ann', 'bob' ], [ 'list', 'ann' ], [ 'list', '--nonsense' ],
        [ 'add', 'ann', '--json' ], [ 'del', 'ann', '--robot' ], [ 'verify', 'ann', '--generate' ], [ 'list', '--expires', '1d' ],
    );
    for my $words (@usages) {
        my $result = user($dir, $words, stdin => "secret\n");
        is($result->{exit}, 2, "user @$words");
        like($result->{err}, ($words->[-1] // '') eq '--nonsense' ? qr/--nonsense/ : qr/usage: .*add NAME.*passwd NAME.*del NAME.*list.*verify NAME/, '... is told how');
    }
    is(slurp("$dir/auth/htpasswd"), $before, 'nothing has changed');
    is_done(add($dir, 'n' x 128, "secret\nand more"), 'a name of 128 bytes is fine');
    is(status_of('n' x 128 . ':secret'), 200, '... and its password is the first line');

    my $nowhere = tempdir() . '/none';
    for my $words (['list'], [ 'del', 'ann' ], [ 'passwd', 'ann' ], [ 'verify', 'ann' ]) {
        my $result = user($nowhere, $words, stdin => "x\n");
        is($result->{exit}, 1, "user $words->[0] without the directory");
        like($result->{err}, qr/\Q$nowhere\E/, '... names it');
        ok(!-e $nowhere, '... and does not make it');
    }
    my $help = Registry->try(['--help'])->{out};
    like($help, qr/^\s+user $_\b/m, "--help has user $_") for qw(add del passwd verify list);
};

# ---- a terminal ----

# What was written to the terminal, and the exit code; types what it is asked for.
sub at_terminal ($at, $words, @typed) {
    my $tmp  = tempdir();
    my $line = join ' ', map { "'$_'" } Registry->program, 'user', @$words, '--dir', $at;
    pipe my $keys, my $fingers or die "pipe: $!";
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDIN,  '<&', $keys     or POSIX::_exit(126);
        open STDOUT, '>', "$tmp/out" or POSIX::_exit(126);
        close $fingers;
        $SIG{INT} = 'DEFAULT';    # whoever runs the tests in the background has it ignored
        exec 'script', '-qefc', $line, '/dev/null' or POSIX::_exit(127);
    }
    close $keys;
    my $asked = 0;
    for my $text (@typed) {
        $asked++;
        wait_for(10, sub { my $n = () = slurp("$tmp/out") =~ /: /g; $n >= $asked }) or last;
        syswrite $fingers, $text;
    }
    my $ended = wait_for(10, sub { waitpid($pid, POSIX::WNOHANG()) == $pid });
    my $exit  = $? >> 8;
    close $fingers;
    if (!$ended) {
        kill 'KILL', $pid;
        waitpid $pid, 0;
        $exit = 'still running';
    }
    return { exit => $exit, out => slurp("$tmp/out") };
}

SKIP: {
    skip 'script (of bsdutils) is not installed', 1 if !find_program('script');
    subtest 'at a terminal' => sub {
        my $added = at_terminal($dir, [ 'add', 'tess' ], "at the keys\n", "at the keys\n");
        is($added->{exit}, 0, 'the password is asked for twice') or diag($added->{out});
        is(() = $added->{out} =~ /: /g, 2, '... no more');
        unlike($added->{out}, qr/at the keys/, '... and not shown');
        is(status_of('tess:at the keys'), 200, '... and counts');
        my $right = at_terminal($dir, [ 'verify', 'tess' ], "at the keys\n");
        is($right->{exit}, 0, 'user verify') or diag($right->{out});
        is(() = $right->{out} =~ /: /g, 1, '... asks once');
        unlike($right->{out}, qr/at the keys/, '... and does not show it');
        is(at_terminal($dir, [ 'verify', 'tess' ], "at the kyes\n")->{exit}, 1, '... a wrong one is wrong');
        is(at_terminal($dir, [ 'passwd', 'tess' ], "at the keys\n", "at the keys\n")->{exit}, 0, 'user passwd asks twice as well');
        my $two = at_terminal($dir, [ 'add', 'tess' ], "one\n", "two\n");
        is($two->{exit}, 1, 'two that differ are refused');
        like($two->{out}, qr/passwords differ/, '... and that is said');
        is(at_terminal($dir, [ 'add', 'tess' ], "\n")->{exit}, 1, 'an empty one is refused');
        is(status_of('tess:at the keys'), 200, 'the first one still counts');
        is(at_terminal($dir, [ 'add', 'tess' ], "\x03")->{exit}, 128 + 2, 'Ctrl-C ends it');
    };
}

# ---- the server's answer ----

subtest 'a server that does not answer, or knows better' => sub {
    my $given = Registry->start(args => [ '--user', 'ann:given' ]);
    my $added = add($given->dir, 'ann', 'kept');
    is($added->{exit}, 0, 'a user whom --user gives is added');
    like($added->{err}, qr/warning: .*--user/, '... with a warning');
    is($given->with(user => 'ann:given')->get('/v2/')->status, 200, '... since the other password counts');
    kill 'STOP', $given->pid;
    my $started = time;
    $added = add($given->dir, 'bob', 'secret');
    is($added->{exit}, 0, 'a server that hangs holds nobody up');
    like($added->{err}, qr/warning: the running server hasn't read this change/, '... but there is a warning');
    # What the server writes may still be of the file before.
    my $pid = fork // die "fork: $!";
    if ($pid == 0) { sleep 1; utime undef, undef, $given->dir . '/run/htpasswd'; POSIX::_exit(0) }
    like(user($given->dir, [ 'passwd', 'bob' ], stdin => "secret\n")->{err}, qr/warning: the running server hasn't read this change/, '... and not a wrong one');
    waitpid $pid, 0;
    # It has written the passwords, and not yet the table of rights.
    my ($run, $own) = map { $given->dir . "/$_/htpasswd" } 'run', 'auth';
    $pid = fork // die "fork: $!";
    if ($pid == 0) { wait_for(3, sub { slurp($own) =~ /^dan:/m }) and spew($run, slurp($run) . slurp($own)); POSIX::_exit(0) }
    like(add($given->dir, 'dan', 'secret')->{err}, qr/warning: the running server hasn't read this change/, '... nor if the server has read half of it');
    waitpid $pid, 0;
    my $hanging = time - $started;
    kill 'CONT', $given->pid;
    ok(wait_for(5, sub { $given->with(user => 'bob:secret')->get('/v2/')->status == 200 }), '... and it counts in the end');
    $given->stop;
    $started = time;
    is_done(add($given->dir, 'cid', 'secret'), 'without a server it is done');
    cmp_ok(time - $started, '<', $hanging, '... sooner');
};

# ---- whose files ----

sub owner_and_mode ($path) {
    my @st = stat $path or return "no $path";
    return sprintf '%s %04o', scalar(getpwuid $st[4]), $st[2] & 07777;
}

subtest 'before the first start' => sub {
    my $me  = is_root() ? 'www-data' : getpwuid $>;
    my $new = tempdir() . '/new/data';
    my $added = add($new, 'ann', 'secret');
    is($added->{exit}, 0, 'a user is added where nothing is') or diag($added->{err});
    like($added->{err}, qr/no registry in \Q$new\E yet/, '... which is said');
    is(owner_and_mode("$new/auth"),          "$me 0700", 'the directory is the later server\'s');
    is(owner_and_mode("$new/auth/htpasswd"), "$me 0600", '... and so is the file');
    my $started = Registry->start(dir => $new);
    is($started->get('/v2/')->status, 401, 'the registry starts closed');
    is($started->with(user => 'ann:secret')->get('/v2/')->status, 200, '... and knows the user');
};

subtest 'where no registry is' => sub {
    my $here = tempdir();
    for my $command ([ 'add', 'ann' ], [ 'del', 'ann' ], ['list']) {
        my $ran = Registry->try([ 'user', @$command ], cwd => $here, stdin => "secret\n");
        is_refused($ran, qr/no registry in the current directory: .*--dir/, "user $command->[0] without --dir is refused");
    }
    is_deeply([ glob "$here/*" ], [], '... and nothing was made');
    my $registry = Registry->start;
    is(Registry->try([ 'user', 'add', 'ann' ], cwd => $registry->dir, stdin => "secret\n")->{exit}, 0, 'in a registry it is done');
    spew("$here/conf", "dir = $here/new\n");
    is(Registry->try([ 'user', 'add', 'ann', '--config', "$here/conf" ], cwd => $here, stdin => "secret\n")->{exit}, 0, 'so it is with a dir in the file');
    $registry->stop;
};

SKIP: {
    skip 'needs root, for another user\'s registry', 1 if !is_root() || !find_program('setpriv');
    subtest 'as root' => sub {
        my @nobody = ('setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups');
        my $tmp    = tempdir();
        run([ 'cp', Registry->program, "$tmp/program" ]);
        chmod 0755, "$tmp/program";
        my $theirs = "$tmp/theirs";
        mkdir $theirs;
        chown scalar(getpwnam 'nobody'), scalar(getgrnam 'nogroup'), $theirs;

        my %as_nobody = (prefix => \@nobody, program => "$tmp/program");
        my $server    = Registry->start(dir => $theirs, args => [ '--run-as', 'nobody' ]);
        is_done(add($theirs, 'ann', 'secret'), 'root adds a user to somebody\'s registry');
        is(owner_and_mode("$theirs/auth/htpasswd"), 'nobody 0600', '... whose file it is');
        is($server->with(user => 'ann:secret')->get('/v2/')->status, 200, '... and it counts');
        is_done(user($theirs, [ 'add', 'bob' ], stdin => "x\n", %as_nobody), 'they can do it themselves');
        is($server->with(user => 'bob:x')->get('/v2/')->status, 200, '... too');

        my $robot = user($theirs, [ 'add', 'ci', '--robot' ]);
        is($robot->{exit}, 0, 'root adds a robot') or diag($robot->{err});
        is(owner_and_mode("$theirs/auth/htpasswd"), 'nobody 0600', '... whose file stays theirs');
        is($server->with(user => "ci:" . $robot->{out} =~ s/\n//r)->get('/v2/')->status, 200, '... and it counts');
        is_done(user($theirs, [ 'verify', 'ci' ], stdin => $robot->{out}), '... as root can see');
        is_done(user($theirs, [ 'verify', 'ci' ], stdin => $robot->{out}, %as_nobody), '... and they can');
        is(user($theirs, [ 'passwd', 'ci', '--robot' ], %as_nobody)->{exit}, 0, 'they change its secret');
        is_done(user($theirs, [ 'del', 'ci' ]), 'root removes it');

        chown 0, 0, "$theirs/auth/htpasswd";
        chmod 0644, "$theirs/auth/htpasswd";
        is_done(add($theirs, 'cid', 'secret'), 'a file that root wrote');
        is(owner_and_mode("$theirs/auth/htpasswd"), 'nobody 0600', '... becomes theirs');
        chown 0, 0, "$theirs/auth/htpasswd";
        is_refused(user($theirs, ['list'], %as_nobody), qr/give it to nobody with chown nobody \Q$theirs\E\/auth\/htpasswd$/, 'one that they cannot read');
        chown scalar(getpwnam 'nobody'), -1, "$theirs/auth/htpasswd";

        my $wrong = add($theirs, 'dan', 'secret', '--run-as', 'www-data');
        is($wrong->{exit}, 1, 'the wrong --run-as is refused');
        like($wrong->{err}, qr/belongs to nobody.*www-data/, '... with the reason');

        my $closed = user($dir, ['list'], %as_nobody);
        is($closed->{exit}, 1, 'other users\' registries are closed to them');
        like($closed->{err}, qr/ as root, or as the registry's user$/, '... which is said');
        unlike($closed->{err} . $wrong->{err}, qr/chown/, '... and nobody is told to change owners');

        $server->stop;
        spew("$tmp/secret", "root:\$5\$x\n");
        chmod 0600, "$tmp/secret";
        unlink "$theirs/auth/htpasswd";
        symlink "$tmp/secret", "$theirs/auth/htpasswd";
        is_refused(user($theirs, ['list']), qr/auth\/htpasswd is a symbolic link: put the file itself there$/, 'a link to what only root may read is not followed');
        is(add($theirs, 'eve', 'secret')->{exit}, 1, '... nor replaced');
        is(user($theirs, [ 'passwd', 'root' ], stdin => "secret\n")->{exit}, 1, '... by passwd neither');
        is(user($theirs, [ 'add', 'ci', '--robot' ])->{out}, '', '... nor for a robot, whose secret is not told');
        my $peeped = user($theirs, [ 'verify', 'root' ], stdin => "x\n");
        is($peeped->{exit}, 1, '... nor does user verify read it');
        unlike($peeped->{err}, qr/hash|password of/, '... or tell anything of it');
        is(slurp("$tmp/secret"), "root:\$5\$x\n", '... nor what it leads to');
    };
}

finish();
