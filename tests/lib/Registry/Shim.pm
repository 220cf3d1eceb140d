# A server whose system calls can be made to fail: tests/crash/shim.c, preloaded.
#
#   my $shim = Registry::Shim->new;
#   my $registry = Registry->start(env => $shim->env);
#   $shim->fail(fdatasync => 'db/log.', EIO, times => 1);
#   cmp_ok($shim->failed, '>', 0, ...);
#   $shim->heal;
package Registry::Shim;
use v5.36;
use File::Basename qw(dirname);
use Registry::Tools;

use constant { RULES => 32, RULE => 'Z16 Z80 q< q< l< l< q< q<' };    # struct shim_rule of tests/crash/shim.h

# Skips the test where nothing can be preloaded.
sub new ($class) {
    my $library = dirname(Registry->program) . '/tests/crash/shim.so';
    skip_or_fail("$library is missing: make check builds it") if !-e $library;
    skip_or_fail('a library before the sanitizers is no good') if Registry->sanitized;
    my $file = tempdir() . '/rules';
    my $self = bless { file => $file, library => $library, n => 0 }, $class;
    spew($file, pack(RULE, ('') x 2, (0) x 6) x RULES);
    chmod 0666, $file;
    return $self;
}

sub env ($self) { return { LD_PRELOAD => $self->{library}, CRASH_SHIM => $self->{file} } }

sub _set ($self, $i, @fields) {
    my $rule = pack RULE, @fields;
    open my $f, '+<:raw', $self->{file} or die "$self->{file}: $!";
    sysseek $f, $i * length $rule, 0;
    # The name comes last, since it makes the rule valid.
    sysseek $f, $i * length($rule) + 16, 0;
    syswrite $f, substr $rule, 16;
    sysseek $f, $i * length $rule, 0;
    syswrite $f, substr $rule, 0, 16;
    return;
}

# From now on that call fails on files whose path contains $path. Options: skip (0), times (-1: always).
sub fail ($self, $call, $path, $errno, %o) {
    $self->_set($self->{n}++, $call, $path, $o{skip} // 0, $o{times} // -1, $errno + 0, 0, 0, 0);
    return;
}

# The clock of the server is ahead by so many seconds from now on.
sub clock ($self, $seconds) {
    $self->{clock} //= $self->{n}++;
    $self->_set($self->{clock}, 'clock', '', int 1000 * $seconds, (0) x 5);
    return;
}

# How many calls have failed since heal.
sub failed ($self) {
    my $bytes = slurp($self->{file});
    my $size  = length($bytes) / RULES;
    my $sum   = 0;
    $sum += (unpack RULE, substr $bytes, $_ * $size, $size)[7] for 0 .. $self->{n} - 1;
    return $sum;
}

sub heal ($self) {
    $self->_set($_, '', '', (0) x 6) for 0 .. $self->{n} - 1;
    $self->{n} = 0;
    delete $self->{clock};
    return;
}

1;
