# The lookout in Perl, for hosts without python3: the same requests and answers as lookout.py, see README.md in this folder.
# Core modules alone. Without Time::HiRes times are whole seconds: a rewrite to the same size within one is not seen.
use strict;
use warnings;
no warnings 'portable';
use Errno qw(ENOENT ENOTDIR);
use Fcntl qw(:mode O_RDONLY O_NONBLOCK O_NOCTTY SEEK_SET);

my ($HEAD_BYTES, $IDLE, $TICK, $LEAST_SHARE) = (64, 1800, 1, 256);
my $fine = eval { require Time::HiRes; 1 };
my (%files, @due, $ticked);

binmode STDIN;
binmode STDOUT;
$SIG{PIPE} = 'DEFAULT';

sub flush { my $old = select STDOUT; $| = 1; print ''; $| = 0; select $old; }

# A time is made whole nanoseconds the same way each time, whatever a double has lost of it.
sub look_at { return $fine ? Time::HiRes::stat($_[0]) : CORE::stat($_[0]); }
sub stamp { return $fine ? sprintf('%.0f', $_[0] * 1e9) : $_[0] . '000000000'; }

sub tick {
    return if time - $ticked <= $TICK;
    $ticked = time;
    print "t\n";
    flush();
}

sub say_of {
    my ($slot, $file, $why) = @_;
    return if defined $file->{said} && $file->{said} eq $why;
    $file->{said} = $why;
    print length $why ? "f $slot " . length($why) . "\n$why" : "m $slot\n";
}

sub reason { return $! == ENOENT || $! == ENOTDIR ? '' : substr("$!", 0, 200); }

sub start {
    my ($file, $size) = @_;
    my $start = $file->{offset} - $file->{span};
    return $start <= $size ? $start : 0;
}

sub need {
    my ($file, $size) = @_;
    my ($most, $left) = ($file->{span} + $file->{limit}, $size - start($file, $size));
    return $most < $left ? $most : $left;
}

sub piece {
    my ($handle, $offset, $length) = @_;
    my $data = '';
    sysseek $handle, $offset, SEEK_SET or die "seek\n";
    while ($length > 0) {
        my $count = sysread $handle, $data, $length < 1048576 ? $length : 1048576, length $data;
        return undef unless defined $count;
        last unless $count;
        $length -= $count;
    }
    return $data;
}

sub tell_bytes {
    my ($slot, $file, $share) = @_;
    my $handle;
    sysopen $handle, $file->{path}, O_RDONLY | O_NONBLOCK | O_NOCTTY or return say_of($slot, $file, reason());
    my @seen = look_at($handle) or return say_of($slot, $file, reason());
    return say_of($slot, $file, 'not a regular file') unless S_ISREG($seen[2]);
    my $length = need($file, $seen[7]);
    $length = $share if defined $share && $share < $length;
    my $start = start($file, $seen[7]);
    my $head = piece($handle, 0, $seen[7] < $HEAD_BYTES ? $seen[7] : $HEAD_BYTES);
    my $data = defined $head ? piece($handle, $start, $length) : undef;
    return say_of($slot, $file, reason()) unless defined $data;
    close $handle;
    $file->{said} = undef;
    print join(' ', 'r', $slot, @seen[0, 1, 7], stamp($seen[9]), $start, length $head, length $data), "\n", $head, $data;
}

sub changed {
    my (@found, $count);
    for my $slot (@due) {
        my $file = $files{$slot};
        tick() unless ++$count % 64;
        my @seen = look_at($file->{path});
        if (!@seen) {
            say_of($slot, $file, reason());
        } elsif (!S_ISREG($seen[2])) {
            say_of($slot, $file, 'not a regular file');
        } elsif ($file->{known} eq join ' ', @seen[0, 1, 7], stamp($seen[9])) {
            print "u $slot\n" if defined $file->{said};
            $file->{said} = undef;
        } else {
            push @found, [$slot, $file, need($file, $seen[7])];
        }
    }
    return @found;
}

sub fair {
    my ($budget, @found) = @_;
    my $sum = 0;
    $sum += $_->[2] for @found;
    return if $sum <= $budget;
    my $waiting = @found;
    for my $one (sort { $a->[2] <=> $b->[2] } @found) {
        my ($share, $least) = (int($budget / $waiting), $one->[1]{span} + $LEAST_SHARE);
        $share = $least if $share < $least;
        $share = $one->[2] if $share > $one->[2];
        $one->[3] = $share;
        $budget = $budget > $share ? $budget - $share : 0;
        $waiting--;
    }
}

sub look {
    my ($number, $budget, $due) = @_;
    @due = map { /^(\d+)(?:-(\d+))?$/ ? $1 .. (defined $2 ? $2 : $1) : () } split /,/, $due if $due ne '*';
    $ticked = time;
    my @found = changed();
    fair($budget, @found);
    for my $one (@found) { tell_bytes(@$one[0, 1, 3]); tick(); }
    print "e $number\n";
    flush();
}

sub obey {
    my ($word, @rest) = split / /, $_[0];
    if ($word eq 'p') {
        $files{$rest[0]} = { path => pack 'H*', defined $rest[1] ? $rest[1] : '' };
    } elsif ($word eq 'w') {
        my ($file, @known) = ($files{$rest[0]}, @rest[4 .. $#rest]);
        @$file{qw(offset context limit)} = @rest[1 .. 3];
        $file->{span} = $rest[1] < $rest[2] ? $rest[1] : $rest[2];
        $file->{known} = join ' ', @known;
        $file->{said} = undef;
    } elsif ($word eq 'g') {
        look(@rest);
    }
}

print "h perl\n";
flush();
while (1) {
    alarm $IDLE;
    my $size = <STDIN>;
    last unless defined $size;
    last unless read(STDIN, my $body, $size) == $size;
    obey($_) for grep { length } split /\n/, $body;
}
